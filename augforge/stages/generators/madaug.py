"""MADAug's curriculum: images under operations of every strength, each with how difficult it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.algorithms.curriculum import START, WARM_UP
from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import SampledParams
from augforge.stages.generators.policy import PolicyGenerator


class MADAug(PolicyGenerator):
    """Apply operations of every strength, and score each image by its `difficulty`, for a curriculum (MADAug; 2023).

    The difficulty is the mean strength of the operations, in [0, 1]. `augforge.torch.Curriculum` shows a training the
    easiest images first, and more of them with every epoch: a share tanh(epoch / warm-up) + start. The published method
    also learns which operations to draw; here all are equally likely. Masks (nearest neighbour), boxes, outlines and
    keypoints follow geometric operations. Without an amount every image has its turn once.
    """

    name: ClassVar[str] = "madaug"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 4}

    num_ops: int = Field(default=2, ge=0, le=16, description="Operations for each image; 0 leaves it alone.")
    severity: float = Field(
        default=1.0, ge=0, le=1, description="The strength of an operation is drawn up to this; 0 leaves images alone."
    )
    warm_up: int = Field(
        default=WARM_UP, ge=1, le=1_000_000, description="Epochs of training, by which three quarters are used."
    )
    start: float = Field(default=START, ge=0, le=1, description="Share of the images that the first epoch uses.")

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The operations with their magnitudes, and how difficult they make the image."""
        from augforge.algorithms.policies import draw_madaug

        size, count = (parent.height, parent.width), self.num_ops if self.severity else 0
        steps, difficulty = draw_madaug(rng(seed, self.name), size, count, self.severity)
        return [parent], {"variant": variant, "steps": steps, "difficulty": difficulty}

    def planned_scores(self, sampled_params: Mapping[str, Any]) -> Mapping[str, float]:
        """The difficulty."""
        return {"difficulty": sampled_params["difficulty"]}
