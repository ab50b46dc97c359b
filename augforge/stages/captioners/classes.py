"""Attributes of classes by a language model, for prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from augforge.stages.prompts import FIELD, KNOWN
from augforge.stages.stage import Stage, Task

if TYPE_CHECKING:
    from augforge.models.language import LanguageModel


class Classes(Stage):
    """Have a language model list attributes of each class, such as backgrounds and poses, for the prompts that follow.

    A list is written once for each class and attribute, and stands word by word in the run and in its lock: a rebuild
    takes it from there, and needs no language model. In the prompts of later stages `{background}` is one of the
    backgrounds of the class, drawn for each image by its seed. No image is touched.
    """

    verb: ClassVar[str] = "caption"
    name: ClassVar[str] = "classes"
    example: ClassVar[Mapping[str, Any]] = {"count": 2, "longest": 12}

    model: Annotated[str, Task("text-generation")] = Field(
        default="smollm2-1.7b", description="The language model that writes the lists."
    )
    attributes: tuple[str, ...] = Field(
        default=("background", "pose"), min_length=1, description="What is listed of each class."
    )
    question: str = Field(
        default="List {count} different short phrases for the {attribute} of a {label} in a photo, one a line.",
        description="What the model is asked; {label}, {attribute} and {count} are filled in.",
    )
    count: int = Field(default=10, ge=1, le=1000, description="Phrases of a list at most.")
    longest: int = Field(default=256, ge=1, le=8192, description="Tokens of a list at most.")
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is bf16 with CUDA, else fp32."
    )

    @field_validator("attributes")
    @classmethod
    def _are_fields(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for name in given:
            if not FIELD.fullmatch(f"{{{name}}}") or name in KNOWN:
                raise ValueError(f"{name!r} can be no name in braces: give small letters, not label or caption")
        return given

    @field_validator("question")
    @classmethod
    def _asks(cls, given: str) -> str:
        unknown = set(re.findall(r"{(.*?)}", given)) - {"label", "attribute", "count"}
        if unknown:
            first = f"{{{sorted(unknown)[0]}}}"
            raise ValueError(f"{first} cannot be filled in; only {{label}}, {{attribute}} and {{count}} can")
        return given

    def packages(self) -> tuple[str, ...]:
        """What the model runs in."""
        return ("torch", "transformers")

    def question_of(self, label: str, attribute: str) -> str:
        """What the model is asked about an attribute of a class."""
        words = {"label": label.replace("_", " "), "attribute": attribute, "count": str(self.count)}
        return re.sub(r"{(label|attribute|count)}", lambda found: words[found[1]], self.question)

    def load(self, device: str) -> LanguageModel:
        """The language model, on `device` ("auto", "cpu", "cuda", "cuda:N", "mps")."""
        from augforge.models import find_model
        from augforge.models.language import LanguageModel

        return LanguageModel(find_model(self.model, "text-generation"), device, self.dtype)
