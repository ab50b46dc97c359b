"""Aesthetic: how beautiful would people call the image?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs


class Aesthetic(EmbeddingFilter):
    """Keep the images that a head on CLIP embeddings calls beautiful.

    `aesthetic` is what linear layers make of the image's embedding of unit length: about 1 to 10 for the heads of
    LAION (one layer, or the five of the improved aesthetic predictor), which were trained on ratings of photographs
    and logos. Heads belong to one embedder, ViT-L/14 of OpenAI for these. Beauty is not worth as training data, and
    a high threshold costs variety: prefer the lowest few per cent, such as `keep: 0.9`.
    """

    name: ClassVar[str] = "aesthetic"
    measures: ClassVar[tuple[str, ...]] = ("aesthetic",)
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="ViT-L-14-quickgelu/openai", description="The embedder that the head was trained on."
    )
    head: Annotated[str, Task("score-head")] = Field(
        ..., description="Its weights: a .safetensors file of linear layers, or a directory or repository with one."
    )
    activation: Literal["none", "relu"] = Field(
        default="none", description="What is between the layers: nothing, as in most published heads, or relu."
    )

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """What the head says of each image."""
        from augforge.models.heads import load_head

        head = load_head(find_model(self.head, "score-head"), self.activation)
        if head.width != inputs.images.shape[1]:
            raise ModelError(
                f"the head {self.head} takes {head.width} numbers, and {self.model} gives {inputs.images.shape[1]}",
                "name the embedder that the head was trained on as `model`",
            )
        return {"aesthetic": head.scores(inputs.images)}
