"""RandAugment: a few operations of equal strength."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import SampledParams
from augforge.stages.generators.policy import PolicyGenerator

BINS = 31


class RandAugment(PolicyGenerator):
    """Apply a few operations of equal strength, drawn from 14 (RandAugment; Cubuk et al., 2020).

    Operations and magnitudes are those of torchvision's `v2.RandAugment`. Masks (nearest neighbour), boxes, outlines
    and keypoints follow geometric operations. Without an amount every image has its turn once.
    """

    name: ClassVar[str] = "randaugment"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 4}

    num_ops: int = Field(default=2, ge=0, le=16, description="Operations for each image; 0 leaves it alone.")
    magnitude: int = Field(
        default=9, ge=0, lt=BINS, description="How strong all of them are, of 30; 0 leaves the image alone."
    )

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The operations with their magnitudes."""
        from augforge.algorithms.policies import draw_randaugment

        size, count = (parent.height, parent.width), self.num_ops if self.magnitude else 0
        steps = draw_randaugment(rng(seed, self.name), size, count, self.magnitude / (BINS - 1))
        return [parent], {"variant": variant, "steps": steps}
