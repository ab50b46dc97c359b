"""Captions by a vision-language model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.captioner import Captioner, Describe
from augforge.stages.stage import Task


class Vlm(Captioner):
    """Describe images by a vision-language model of transformers, such as SmolVLM, Qwen-VL, BLIP or Florence-2.

    The words are the model's likeliest ones, one after the other, so that they are the same each time. An image that
    has a caption keeps it. In a prompt `{caption}` stands for them: "{caption}, a kind of {label}" (DISEF, 2023; with
    the captions of images of other classes, see `contexts` of the generators, BOB, CVPR 2026).
    """

    name: ClassVar[str] = "vlm"
    example: ClassVar[Mapping[str, Any]] = {"longest": 6}

    model: Annotated[str, Task("image-text-to-text")] = Field(
        default="smolvlm-500m", description="The vision-language model."
    )
    prompt: str = Field(
        default="Describe this picture in one short sentence.",
        description='What the model is asked. BLIP goes on from it (give ""); Florence-2 knows <CAPTION>.',
    )
    longest: int = Field(default=64, ge=1, le=1024, description="Tokens of a caption at most.")
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Precision; auto is bf16 with CUDA, else fp32."
    )

    def packages(self) -> tuple[str, ...]:
        """What the model runs in."""
        return ("torch", "transformers")

    def about(self) -> dict[str, str]:
        """The model, its digest, and the prompt."""
        from augforge.models import find_model, model_digest

        row = find_model(self.model, "image-text-to-text")
        return {"model": row.name, "digest": model_digest(row), "prompt": self.prompt}

    def load(self, device: str) -> Describe:
        """As the base class says."""
        from augforge.models import find_model
        from augforge.models.vision_language import VisionLanguage

        model = VisionLanguage(find_model(self.model, "image-text-to-text"), device, self.dtype)
        return partial(model.describe, prompt=self.prompt, longest=self.longest)
