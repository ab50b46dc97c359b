"""Questions to a vision-language model: yes or no, or a number from 1 to 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.errors import RecipeError
from augforge.stages.prompts import fill
from augforge.stages.question_filter import Answer, QuestionFilter
from augforge.stages.stage import Prompt, Task

if TYPE_CHECKING:
    from augforge.algorithms.rules import Scale

LABEL = "{label}"


class Vlm(QuestionFilter):
    """Keep the images of which a vision-language model says what it should (Gen-n-Val, CVPR 2026, asks so).

    `vlm-yes` is the probability, in [0, 1], that the first token of the answer is yes and not no: those of "yes" and
    "Yes", with a space before it or without, are summed, and so are those of no; other tokens do not count. By default
    images below 0.5 go. `vlm-rating` is the expected answer, in [1, 5], of a question that asks for a number from 1 to
    5: the mean of the five, weighted by how probable each is among them.
    """

    name: ClassVar[str] = "vlm"
    measures: ClassVar[tuple[str, ...]] = ("vlm-yes", "vlm-rating")
    scales: ClassVar[Mapping[str, Scale]] = {"vlm-yes": "logit"}
    default_rule: ClassVar[Mapping[str, float]] = {"minimum": 0.5}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("image-text-to-text")] = Field(
        default="smolvlm-500m", description="The vision-language model."
    )
    question: Prompt = Field(
        default="Is this a picture of a {label}? Answer yes or no.",
        description="What the model is asked; {label} is the class name.",
    )
    by: Literal["vlm-yes", "vlm-rating"] = Field(
        default="vlm-yes", description="The measure that the rule looks at: yes or no, or a number from 1 to 5."
    )
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is bf16 with CUDA, else fp32."
    )

    def check(self) -> None:
        """Ask for a rule where the default one, of a probability, says nothing."""
        if self.by == "vlm-rating" and not self.given_rule:
            raise RecipeError("by vlm-rating a rule is needed", "give min, such as 3, keep or outliers")

    def packages(self) -> tuple[str, ...]:
        """What the model runs in."""
        return ("torch", "transformers")

    @property
    def asks_by_class(self) -> bool:
        """Whether {label} is in the question."""
        return LABEL in self.question

    def question_of(self, label: str | None) -> str:
        """The question, with the name of the class in it."""
        return fill(self.question, label)

    def load(self, device: str) -> Answer:
        """As the base class says."""
        from augforge.models import find_model
        from augforge.models.vision_language import VisionLanguage

        model = VisionLanguage(find_model(self.model, "image-text-to-text"), device, self.dtype)
        return model.ask if self.by == "vlm-yes" else model.rate
