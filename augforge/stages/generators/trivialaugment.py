"""TrivialAugment: one operation, of any strength."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import SampledParams
from augforge.stages.generators.policy import PolicyGenerator


class TrivialAugment(PolicyGenerator):
    """Apply one operation of random strength, drawn from 14 (TrivialAugment, the wide space; Müller and Hutter, 2021).

    Operations and magnitudes are those of torchvision's `v2.TrivialAugmentWide`. Masks (nearest neighbour), boxes,
    outlines and keypoints follow geometric operations. Without an amount every image has its turn once.
    """

    name: ClassVar[str] = "trivialaugment"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 4}

    severity: float = Field(
        default=1.0, ge=0, le=1, description="Share of the published strength; 0 leaves the image alone."
    )

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The operation with its magnitude."""
        from augforge.algorithms.policies import draw_trivialaugment, weakened

        steps = draw_trivialaugment(rng(seed, self.name), (parent.height, parent.width))
        return [parent], {"variant": variant, "steps": weakened(steps, self.severity, rng(seed, "severity"))}
