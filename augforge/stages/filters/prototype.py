"""Prototype: does the image look like the real images of its class?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.similarity import Scores, to_own

if TYPE_CHECKING:
    from augforge.stages.filter_inputs import FilterInputs


class Prototype(EmbeddingFilter):
    """Keep the images most similar to the real images of their class.

    Cosine, in [-1, 1], to the mean direction of the class's kept real images that are of no evaluation split (the
    prototype of Snell et al., 2017). It uses no text, so the names of the classes do not matter. A class without real
    images has no prototype: its images have no score.
    """

    name: ClassVar[str] = "prototype"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("prototype",)
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    @property
    def needs_labels(self) -> bool:
        """It compares an image with its class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The cosine to the prototype of the image's class."""
        return {"prototype": to_own(inputs.images, inputs.classes, inputs.prototypes)}
