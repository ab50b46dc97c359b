"""Edge maps of images: as more images to train with, or to validate with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, SampledParams
from augforge.stages.generators.bounds import too_large, too_long
from augforge.stages.generators.operator import OperatorGenerator

FIXED = {"sigma": 1.0, "rule": "otsu", "low": 1.0, "high": 1.0}
"""The one map of an image that is validated with."""


class Edges(OperatorGenerator):
    """Make edge maps of images: dark lines of one px on white, where an image changes.

    After *Crafting Distribution Shifts* (Efthymiadis et al., WACV 2025), which trains with the cross entropy of the
    images and, weighted, that of their edge maps. To train with, the blur (a sigma of 0, 1 or 2 px), the automatic
    threshold (Otsu, Yen, mean, isodata or Li) and by how much Canny's two thresholds differ from it (up to a fifth) are
    drawn for each map; to validate with, every image has one map of sigma 1 and Otsu's threshold, in the split
    `validation`. What is known of an image is known of its map. A map without a line is dropped.
    """

    name: ClassVar[str] = "edges"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scikit-image", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "severity": 0.5}

    purpose: Literal["training", "validation"] = Field(
        default="training", description="Training: sampled maps beside the images; validation: one map, held out."
    )
    severity: float = Field(
        default=1.0, ge=0, le=1, description="How far the image fades into its map: 0 leaves the image alone."
    )
    size: int | None = Field(
        default=None, ge=8, le=8192, description="Shorter side in px, to which the image is resized first."
    )

    @property
    def validation(self) -> float:
        """The share of the maps that are held out: nothing is conditioned on them, or trained with them."""
        return float(self.purpose == "validation")

    def packages(self) -> tuple[str, ...]:
        """What finds edges."""
        return ("skimage",)

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """Blur, rule of the threshold, and how far Canny's thresholds are from it."""
        from augforge.algorithms.shifts import operation

        if self.purpose == "validation":
            return [parent], {"variant": variant, **FIXED, "fade": self.severity}
        drawn = operation("edges", "edge-map").draw(rng(seed, "edges"), self.severity)
        return [parent], {"variant": variant, **drawn}

    def refusal(self, job: Job) -> str:
        """That the image would be too large."""
        width, height = job.parents[0].width, job.parents[0].height
        return too_large(width, height) if self.size is None else too_long(width, height, self.size)

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The parent, resized if asked for, and its map."""
        import numpy as np

        from augforge.algorithms.geometry import Geometry, Resize
        from augforge.algorithms.shifts import operation

        image = np.asarray(item.images[0])
        parameters = {name: item.job.sample.sampled_params[name] for name in (*FIXED, "fade")}
        moves = Geometry()
        if self.size is not None:
            scale = self.size / min(image.shape[:2])
            moves = Geometry((Resize(*(round(side * scale) for side in image.shape[:2])),))
        made = operation("edges", "edge-map")(moves.apply(image, "bicubic"), parameters)
        return self.followed(item, made, moves)
