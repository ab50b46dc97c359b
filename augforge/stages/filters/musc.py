"""MuSc: does an image show something that no other image of its class shows, anywhere in it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from augforge.data.ids import unit
from augforge.stages.filter import EmbeddingFilter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs, Numbers


def _check_odd(side: int) -> int:
    if side % 2 == 0:
        raise ValueError(f"a side of {side} patches has no patch in the middle: give odd numbers")
    return side


Odd = Annotated[int, Field(ge=1, le=31), AfterValidator(_check_odd)]
ROWS = 1024
"""Images compared at a time."""


class Musc(EmbeddingFilter):
    """Keep the images without a part that is odd for their class: MuSc's mutual scoring of patches.

    MuSc (Li et al., ICLR 2024) needs no training. Of each patch, averaged over neighbourhoods of several sizes, in
    several layers: the mean of the lowest 30 % of its distances to the nearest patches of other images. The largest of
    an image is its score, which is then averaged with those of similar images (RsCIN). Where a region is odd
    this finds it, unlike `outlier`; it assumes that normal images of a class are alike (products, scans), so that in a
    diverse class a large share has to be kept.

    `musc` has the scale of the reference: 0 is the most usual of its images, 1 the oddest; less is better, and an image
    odder than all of it is over 1. The others are at most `reference` real images of the class outside evaluation
    splits, chosen by a hash of their ids, never the image itself: no judged image has a say in the score of another.
    With fewer than four others the nearest counts, where 30 % of them is none; a class's only real image scores 0.

    `model` is a vision transformer of open_clip, transformers (CLIP, DINOv2 and others) or timm, or a CNN of timm,
    whose last maps are taken for patches. Published are CLIP ViT-L/14 at 336 px and its layers 6, 12, 18, 24.
    """

    name: ClassVar[str] = "musc"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("musc",)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"musc"})
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    reference: int = Field(
        default=64, ge=1, le=100_000, description="Compare with at most so many real images of the class."
    )
    sides: tuple[Odd, ...] = Field(
        default=(1, 3, 5), min_length=1, description="Sides of the neighbourhoods, in patches; odd."
    )
    lowest: float = Field(
        default=0.3, gt=0, le=1, description="The share of the distances that counts, the lowest ones."
    )
    layers: tuple[Annotated[int, Field(ge=1, le=1000)], ...] | None = Field(
        default=None, min_length=1, description="Layers of the model, from 1 (four, spread evenly, if absent)."
    )
    similar: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(1, 2, 3), min_length=1, description="RsCIN: sizes of the neighbourhoods of similar images; 1 for none."
    )

    @property
    def needs_labels(self) -> bool:
        """It compares an image with its class."""
        return True

    def patch_options(self) -> dict[str, Any]:
        """What the score of an image beside others depends on, besides the model and those others."""
        return {"sides": list(self.sides), "lowest": self.lowest, "layers": self.layers and list(self.layers)}

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """How odd the oddest part of each image is in its class."""
        import numpy as np

        scores = np.full(len(inputs), np.nan)
        for number in np.unique(inputs.classes[inputs.classes >= 0]):
            mine, chosen = np.flatnonzero(inputs.classes == number), self._chosen(inputs, int(number))
            if len(chosen):
                scores[mine] = self._scores(inputs, mine, chosen)
        return {"musc": scores}

    def _scores(self, inputs: FilterInputs, mine: Numbers, chosen: Numbers) -> NDArray[np.float64]:
        """(n,) the scores of the images at `mine` (n,) beside the reference's at `chosen`."""
        import numpy as np

        from augforge.algorithms.musc import rescored

        others = [inputs.reference.ids[place] for place in chosen.tolist()]
        ids = [inputs.ids[row] for row in mine.tolist()]
        raw, theirs = inputs.mutual(ids, others), inputs.mutual(others, others)
        places = {identity: column for column, identity in enumerate(others)}
        found = np.full(len(mine), np.nan)
        readable = np.isfinite(theirs)
        for start in range(0, len(mine), ROWS):
            part = slice(start, start + ROWS)
            similar = (inputs.images[mine[part]] @ inputs.reference.vectors[chosen].T).astype(np.float64)
            for row, identity in enumerate(ids[part]):
                if identity in places:
                    similar[row, places[identity]] = -np.inf
            found[part] = rescored(raw[part], similar[:, readable], theirs[readable], self.similar)
        return found

    def _chosen(self, inputs: FilterInputs, number: int) -> Numbers:
        """The places in the reference of the real images of a class that the others are compared with."""
        import numpy as np

        places = np.flatnonzero(inputs.reference.classes == number)
        order = np.argsort([unit("musc", inputs.reference.ids[place]) for place in places.tolist()], kind="stable")
        return np.sort(places[order[: self.reference]])
