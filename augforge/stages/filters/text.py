"""Text: how much of the picture is writing?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs


def _tenths(value: float) -> float:
    if abs(10 * value - round(10 * value)) > 1e-9:
        raise ValueError(f"{value} is no tenth: shares are stored for 0.1, 0.2, ... 0.9")
    return value


class Text(EmbeddingFilter):
    """Drop the images with writing in them: captions, logos and stamps that a generator repeats or garbles.

    `text` is the share of the picture, in [0, 1], that a text detector takes for text with a probability of over
    `threshold`; less is better, and over one per cent an image goes. Detectors of the DB kind mark the cores of lines,
    so the lines themselves cover more. Nothing is read: what is written does not matter.
    """

    name: ClassVar[str] = "text"
    decision_options: ClassVar[frozenset[str]] = EmbeddingFilter.decision_options | {"threshold"}
    measures: ClassVar[tuple[str, ...]] = ("text",)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"text"})
    default_rule: ClassVar[Mapping[str, float]] = {"maximum": 0.01}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("text-detection")] = Field(
        ..., description="A text detector of transformers, such as PP-OCRv5: a directory, or hub:owner/name."
    )
    threshold: Annotated[float, AfterValidator(_tenths)] = Field(
        default=0.3, ge=0.1, le=0.9, description="Over which probability a place counts as text: 0.1, 0.2, ... 0.9."
    )

    def packages(self) -> tuple[str, ...]:
        """What the detector is of."""
        return (*super().packages(), "transformers")

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The share of each picture that is text."""
        import numpy as np

        return {"text": inputs.images[:, round(10 * self.threshold) - 1].astype(np.float64)}
