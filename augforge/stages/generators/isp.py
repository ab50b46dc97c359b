"""ISP: images as another camera would have taken them, through its sensor and its processing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, SampledParams
from augforge.stages.generators.sized import SizedOperator
from augforge.stages.stage import Share


class Isp(SizedOperator):
    """Take images back to what a sensor measures, and develop them again with a camera's noise and errors.

    Tone curve, gamma, colour matrix and white balance are inverted, the Bayer mosaic gets shot and read noise, and all
    is processed back with errors of exposure and white balance (in the manner of *All You Need is RAW*, Xu et al.,
    2024, with the arithmetic of *Unprocessing Images*, Brooks et al., 2019). Content and annotations stay.
    """

    name: ClassVar[str] = "isp"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "size": 32}

    severity: Share = Field(
        default=0.5, description="How noisy and wrong the camera is: 0 leaves the image alone, 1 is full strength."
    )
    keep_detail: bool = Field(
        default=True, description="Add noise and errors alone; otherwise detail is lost, too, as a mosaic loses it."
    )

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The camera, and the seed of its noise."""
        from augforge.algorithms.isp import draw_camera

        random = rng(seed, "isp")
        camera = draw_camera(random, self.severity, not self.keep_detail)
        return [parent], {"variant": variant, "camera": camera, "noise-seed": int(random.integers(2**31))}

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """Taken again."""
        from augforge.algorithms.isp import reshoot

        drawn = item.job.sample.sampled_params
        pixels, moves = self.resized(item)
        return self.followed(item, reshoot(pixels, drawn["camera"], drawn["noise-seed"]), moves)
