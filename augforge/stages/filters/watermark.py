"""Watermark: does a classifier see a watermark, or another mark by its name?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.errors import ModelError, did_you_mean
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.classifier import softmax
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.rules import Scale
    from augforge.stages.filter_inputs import FilterInputs


class Watermark(EmbeddingFilter):
    """Drop the images in which a classifier sees a watermark: generators repeat those of their training images.

    `watermark` is the probability, in [0, 1], that the classifier gives to its class `label`; less is better, and over
    one half an image goes. The classifier is any image classifier of transformers or timm that has such a class, or
    one that `augforge train classifier` made of examples; it is only as good as that. Visible marks are meant: an
    invisible one needs the decoder of whoever wrote it.
    """

    name: ClassVar[str] = "watermark"
    measures: ClassVar[tuple[str, ...]] = ("watermark",)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"watermark"})
    scales: ClassVar[Mapping[str, Scale]] = {"watermark": "logit"}
    default_rule: ClassVar[Mapping[str, float]] = {"maximum": 0.5}
    example: ClassVar[Mapping[str, Any]] = {"label": "cat", "keep": 0.5}

    model: Annotated[str, Task("classification")] = Field(
        ..., description="An image classifier: a directory, or hub:owner/name."
    )
    label: str = Field(default="watermark", description="Which of its classes stands for a marked image.")

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The probability of the class."""
        if self.label not in inputs.known:
            raise ModelError(
                f"{self.model} has no class {self.label!r}", did_you_mean(self.label, list(inputs.known)[:20])
            )
        return {"watermark": softmax(inputs.images)[:, list(inputs.known).index(self.label)]}
