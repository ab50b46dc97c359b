"""AutoAugment: pairs of operations that a search found for ImageNet, CIFAR-10 or SVHN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import SampledParams
from augforge.stages.generators.policy import PolicyGenerator


class AutoAugment(PolicyGenerator):
    """Apply one of the 25 pairs of operations that a search found for a data set (AutoAugment; Cubuk et al., 2019).

    Pairs, probabilities and magnitudes are those of torchvision's `v2.AutoAugment`. Masks (nearest neighbour), boxes,
    outlines and keypoints follow geometric operations. Without an amount every image has its turn once.
    """

    name: ClassVar[str] = "autoaugment"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 4}

    policy: Literal["imagenet", "cifar10", "svhn"] = Field(
        default="imagenet", description="The data set for which the pairs were found."
    )
    severity: float = Field(
        default=1.0, ge=0, le=1, description="Share of the published strength; 0 leaves the image alone."
    )

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """Those of the two operations that are applied, with their magnitudes."""
        from augforge.algorithms.policies import draw_autoaugment, weakened

        steps = draw_autoaugment(rng(seed, self.name), (parent.height, parent.width), self.policy)
        return [parent], {"variant": variant, "steps": weakened(steps, self.severity, rng(seed, "severity"))}
