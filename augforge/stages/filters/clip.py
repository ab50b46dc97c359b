"""CLIP similarity: does the image look like what its label says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.models import find_model
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.similarity import Scores, class_prompts, margins, to_own
from augforge.stages.stage import AsksAboutClasses, Prompt, Task

if TYPE_CHECKING:
    from augforge.stages.filter_inputs import FilterInputs


class Clip(AsksAboutClasses, EmbeddingFilter):
    """Keep the images that an image-text model finds most like their class.

    Three measures of cosine similarity: `clip-prompt`, that to the class's prompt, in [-1, 1]; `clip-margin`, that
    minus the best similarity to another class's prompt, in [-2, 2]; `clip-prototype`, that to the mean of the
    class's real images, in [-1, 1]. No paper gives a cut that holds for all data, so without a rule outliers go.

    By `clip-prototype` no text is asked for: any model that embeds images will do, and the other two are not measured.
    """

    name: ClassVar[str] = "clip"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("clip-prompt", "clip-margin", "clip-prototype")
    needs_real: ClassVar[bool] = True
    ways_out: ClassVar[str] = (
        "name another image-text model, such as vit-b-32, or judge by clip-prototype with any model that embeds images"
    )
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The image-text model; by clip-prototype any that embeds images."
    )
    prompt: Prompt = Field(default="a photo of a {label}", description="The prompt of a class; {label} is its name.")
    by: Literal["clip-prompt", "clip-margin", "clip-prototype"] = Field(
        default="clip-prompt", description="The measure that the rule looks at."
    )

    @property
    def asks_about_classes(self) -> bool:
        """Whether the prompts of the classes are asked for."""
        return self.by != "clip-prototype"

    def check(self) -> None:
        """Refuse a model that knows no text where prompts are asked for."""
        if self.asks_about_classes:
            find_model(self.model, "image-text")

    @property
    def needs_labels(self) -> bool:
        """Every measure compares an image with its class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The similarities. A single class has no other: its margin is NaN."""
        images, classes = inputs.images, inputs.classes
        scores = {"clip-prototype": to_own(images, classes, inputs.prototypes)}
        if not self.asks_about_classes:
            return scores
        prompts = class_prompts(inputs, self.prompt)
        asked = {
            "clip-prompt": to_own(images, classes, prompts),
            "clip-margin": margins(images, classes, prompts, inputs.also),
        }
        return {**asked, **scores}
