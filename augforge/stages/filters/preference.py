"""Preference: would people like the image, as an answer to its prompt?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.errors import RecipeError
from augforge.models.tasks import REWARD
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.prompts import fill
from augforge.stages.question_filter import Answer, QuestionFilter
from augforge.stages.stage import AsksAboutClasses, Prompt, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.stage_facts import Facts
    from augforge.stages.filter_inputs import FilterInputs

SCALE = 100.0
"""What cosines are multiplied by where neither the recipe nor the checkpoint says: the most that CLIP learnt with."""


class Preference(AsksAboutClasses, QuestionFilter, EmbeddingFilter):
    """Keep the images that people would prefer for their prompt, by a model that was trained on people's choices.

    `preference` is the logit scale times the cosine between the image and its prompt, in [-scale, scale]: PickScore
    (Kirstain et al., 2023) and HPSv2 (Wu et al., 2023). Of two images with one prompt people prefer the first with
    probability sigmoid(difference). ImageReward (Xu et al., 2023), a BLIP that reads the prompt while it looks at the
    image, gives its own score, about -2 to 2. Scores of different prompts are not meant to be compared: take a rule
    within the class, and one `prompt` for all.

    Without `prompt` each image is compared with the text that it was made from, or with its caption; an image with
    neither has no score. What people like is not what trains well: newer, prettier generators have made worse training
    data (arXiv 2602.19946).
    """

    name: ClassVar[str] = "preference"
    decision_options: ClassVar[frozenset[str]] = EmbeddingFilter.decision_options | {"kind"}
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("preference",)
    ways_out: ClassVar[str] = "name a full model of preference, such as the directory of PickScore or HPSv2"
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"prompt": "photo", "keep": 0.5}

    model: Annotated[str, Task("preference")] = Field(
        ..., description="PickScore, HPSv2, ImageReward or an image-text model: a directory, or hub:owner/name."
    )
    kind: Literal["auto", "clip", "image-reward"] = Field(
        default="auto", description="What the model is, where its files are not on this disk yet to tell."
    )
    prompt: Prompt | None = Field(
        default=None,
        description="What every image is compared with; {label} is its class. Without it: each with its own prompt.",
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        le=1e4,
        description="What cosines are multiplied by; without it exp(logit_scale) of the checkpoint, or 100.",
    )

    def models(self) -> list[tuple[str, str]]:
        """The model, for what its kind can be asked."""
        return [(self.model, "image-reward" if self.asks_a_model else "image-text")]

    def check(self) -> None:
        """Refuse a scale of cosines where there are none."""
        super().check()
        if self.scale is not None and self.asks_a_model:
            raise RecipeError("key 'scale': ImageReward's scores are no cosines", "leave it out")

    @property
    def asks_a_model(self) -> bool:
        """Whether it is ImageReward, which is asked about an image and a prompt together."""
        from augforge.models import find_model
        from augforge.models.backends.sizes import part_config
        from augforge.models.find import is_there

        if self.kind != "auto" or not is_there(self.model, "preference"):
            return self.kind == REWARD
        return part_config(find_model(self.model, "preference"), "").get("model_type") == REWARD

    @property
    def asks_by_class(self) -> bool:
        """Whether the prompt names the class."""
        return self.needs_labels

    @property
    def asks_by_prompt(self) -> bool:
        """Without a prompt for all."""
        return self.prompt is None

    def question_of(self, label: str | None) -> str:
        """The prompt for all, with the name of the class in it."""
        return fill(self.prompt or "", label)

    def load(self, device: str) -> Answer:
        """As the base class says."""
        from augforge.models import find_model
        from augforge.models.image_reward import Reward

        return Reward(find_model(self.model, REWARD), device).score

    def packages(self) -> tuple[str, ...]:
        """What the model runs in."""
        return ("torch", "transformers") if self.asks_a_model else super().packages()

    @property
    def needs_labels(self) -> bool:
        """Only where the prompt names the class."""
        return self.prompt is not None and "{label}" in self.prompt

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """The scaled cosine of each image and its prompt; NaN without one."""
        import numpy as np

        scores = np.full(len(inputs), np.nan)
        prompts = self._prompts(inputs)
        asked = [row for row, prompt in enumerate(prompts) if prompt]
        if asked:
            different = sorted({prompts[row] for row in asked})
            places = {prompt: place for place, prompt in enumerate(different)}
            theirs = inputs.texts(different)[[places[prompts[row]] for row in asked]]
            scores[asked] = self._scale(inputs)[0] * np.einsum(
                "nd,nd->n", inputs.images[asked], theirs, dtype=np.float64
            )
        return {"preference": scores}

    def _scale(self, inputs: FilterInputs) -> tuple[float, str]:
        """What cosines are multiplied by, and who says so."""
        if self.scale is not None:
            return self.scale, "the recipe"
        own = inputs.logit_scale
        return (SCALE, "default: the checkpoint has no logit scale") if own is None else (own, "the checkpoint")

    def facts(self, inputs: FilterInputs) -> Facts:
        """The scale, and who says so; nothing of ImageReward, which has none."""
        if self.asks_a_model:
            return {}
        scale, by = self._scale(inputs)
        return {"scale": scale, "scale by": by}

    def _prompts(self, inputs: FilterInputs) -> Sequence[str]:
        """(n,) what each image is compared with, "" for nothing."""
        if self.prompt is None:
            return inputs.prompts
        named = "{label}" in self.prompt
        texts = [fill(self.prompt, name) for name in inputs.names] + ["" if named else self.prompt]
        return [texts[number] for number in inputs.classes.tolist()]

    def explain(self, inputs: FilterInputs, scores: NDArray[np.float64]) -> Sequence[str | None]:
        """Why an image without a prompt goes."""
        why = "it has no prompt and no caption to be compared with: give `prompt`" if self.prompt is None else None
        return [None if prompt else why for prompt in self._prompts(inputs)]
