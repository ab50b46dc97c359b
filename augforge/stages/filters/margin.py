"""Margin: would an image-text model give the image the label that it has?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.similarity import Scores, class_prompts, margins
from augforge.stages.stage import AsksAboutClasses, Prompt, Task

if TYPE_CHECKING:
    from augforge.stages.filter_inputs import FilterInputs


class Margin(AsksAboutClasses, EmbeddingFilter):
    """Keep the images that zero-shot classification assigns to their own label most clearly.

    The cosine to the prompt of the image's class minus the best cosine to another class's, in [-2, 2]: over 0 exactly
    where zero-shot classification (Radford et al., 2021) is right, so `min: 0` keeps what it gets right. With a single
    class there is no score.
    """

    name: ClassVar[str] = "margin"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("margin",)
    ways_out: ClassVar[str] = (
        "name another image-text model, such as vit-b-32, or use `filter: prototype` with any model that embeds images"
    )
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("image-text")] = Field(default="builtin-clip", description="The image-text model.")
    prompt: Prompt = Field(default="a photo of a {label}", description="The prompt of a class; {label} is its name.")

    @property
    def needs_labels(self) -> bool:
        """It compares an image with its class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The margin of the image's own class."""
        return {"margin": margins(inputs.images, inputs.classes, class_prompts(inputs, self.prompt), inputs.also)}
