"""Shifts: training images under strong transforms, to validate with; no model, no test image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, SampledParams
from augforge.stages.generators.bounds import too_long
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.stage import words_of


class Shifts(OperatorGenerator):
    """Make a validation set of training images: one strong transform each, in the split `validation`.

    It shows how robust a model is to shifts that it was not trained on, without touching the test set (*Crafting
    Distribution Shifts*; Efthymiadis et al., 2025). Fold 1 has the families arithmetic, artistic, blur, colour and
    contrast, fold 2 convolutional, edges, geometric, segmentation and weather. Without an amount every image is
    transformed once. Masks (nearest neighbour), boxes, outlines and keypoints follow geometric transforms, and are kept
    by the others.
    """

    name: ClassVar[str] = "shifts"
    validation: ClassVar[float] = 1.0
    """All of them are held out: nothing is conditioned on them, or trained with them."""
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scikit-image", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "size": 32}

    fold: Literal["1", "2", "all"] = Field(default="all", description="Sample from the families of this fold.")
    families: tuple[str, ...] = Field(
        default=(), description="Sample from these families only; `edges` gives edge maps."
    )
    severity: float = Field(
        default=1.0, ge=0, le=1, description="How strong: 0 leaves the image alone, 1 is full strength."
    )
    size: int = Field(
        default=227, ge=8, le=8192, description="Shorter side in px, to which the image is resized first."
    )

    @field_validator("fold", mode="before")
    @classmethod
    def _fold_as_text(cls, fold: Any) -> Any:
        return str(fold) if isinstance(fold, int) else fold

    @field_validator("families", mode="before")
    @classmethod
    def _known_families(cls, families: Any) -> tuple[str, ...]:
        from augforge.algorithms.shifts import FAMILIES

        return words_of(families, tuple(FAMILIES))

    @model_validator(mode="after")
    def _families_of_the_fold(self) -> Shifts:
        from augforge.algorithms.shifts import FOLDS

        others = [name for name in self.families if name not in FOLDS[self.fold]]
        if others:
            raise ValueError(f"{others[0]} is no family of fold {self.fold}: {', '.join(FOLDS[self.fold])}")
        return self

    def packages(self) -> tuple[str, ...]:
        """What some of the transforms are made of."""
        return ("skimage",)

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """Family, operation and parameters."""
        from augforge.algorithms.shifts import FOLDS, draw

        families = self.families or FOLDS[self.fold]
        return [parent], {"variant": variant, **draw(families, self.severity, rng(seed, "shift"))}

    def refusal(self, job: Job) -> str:
        """That the image would be too large."""
        return too_long(job.parents[0].width, job.parents[0].height, self.size)

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The parent resized, and transformed as was drawn."""
        import numpy as np

        from augforge.algorithms.geometry import Geometry, Resize
        from augforge.algorithms.shifts import operation

        sampled_params, image = item.job.sample.sampled_params, np.asarray(item.images[0])
        scale = self.size / min(image.shape[:2])
        resize = Resize(*(round(side * scale) for side in image.shape[:2]))
        shifted = operation(sampled_params["family"], sampled_params["op"])(
            resize.move(image, "bicubic", None), sampled_params["parameters"]
        )
        moves = Geometry((resize, *Geometry.from_plain(sampled_params["parameters"].get("geometry", [])).ops))
        return self.followed(item, shifted.astype(np.float32) / np.float32(255), moves)
