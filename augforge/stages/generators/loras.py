"""The LoRAs that a diffusion stage generates with: which, how strong, and which of them for which image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator

from augforge.data.ids import rng
from augforge.errors import RecipeError
from augforge.models.directory import DIGITS, RECORD
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.data.pool import Pool
    from augforge.data.sample import Sample
    from augforge.models.loras import LoraFiles
    from augforge.models.table import Model

MOST = 100.0
"""The most that a LoRA may be strengthened, either way."""
_OPTIONS = frozenset({"lora", "lora-scale", "lora-fusion"})


class WithLoras(Stage):
    """Options of a stage whose diffusion model may have LoRAs beside its own weights."""

    lists_of_models: ClassVar[Mapping[str, str]] = {"lora": "lora"}

    lora: tuple[str, ...] = Field(
        default=(),
        description="LoRA of the model: one that the recipe trains, a directory, file or hub id. Repeatable.",
    )
    lora_scale: tuple[Annotated[float, Field(ge=-MOST, le=MOST)], ...] = Field(
        default=(), description="How strong each LoRA is: one number for all, or one each; 1 if absent, 0 is without."
    )
    lora_fusion: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="LoRAs of images: share of the first of the two that are fused, drawn for each image if absent.",
    )

    @field_validator("lora", "lora_scale", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, (str, int, float)) else given

    def check_loras(self, backend: str) -> None:
        """RecipeError where there are not as many scales as LoRAs, or a back-end that has no use for them."""
        if self.lora_scale and len(self.lora_scale) not in (1, len(self.lora)):
            raise RecipeError(
                f"key 'lora-scale': {len(self.lora_scale)} numbers for {len(self.lora)} LoRAs", "give one, or one each"
            )
        if len(set(self.lora)) != len(self.lora):
            raise RecipeError("key 'lora': a LoRA is named twice", "raise its lora-scale instead")
        if self.lora and backend == "unconditional":
            raise RecipeError("key 'lora': an unconditional model has no LoRA", "leave it out")

    def idle_options(self) -> frozenset[str]:
        """As `Stage.idle_options`: without LoRAs all that is said of them."""
        return super().idle_options() | (frozenset() if self.lora else _OPTIONS)

    @property
    def lora_rows(self) -> list[tuple[Model, float]]:
        """The rows of the LoRAs, each with its scale."""
        from augforge.models import find_model

        scales = self.lora_scale or (1.0,)
        scales = scales * len(self.lora) if len(scales) == 1 else scales
        return [(find_model(name, "lora"), scale) for name, scale in zip(self.lora, scales, strict=True)]

    @property
    def has_loras_of_images(self) -> bool:
        """Whether nearly every image is made with LoRAs of its own."""
        found = [_files(model) for model, _ in self.lora_rows]
        return any(files is not None and files.per == "image" for files in found)

    def drawn_loras(
        self, label: str | None, parents: Sequence[Sample], pool: Pool, seed: int
    ) -> dict[str, dict[str, dict[str, float]]]:
        """The shares of the LoRAs of one image, as a sampled parameter: that of its class, or of two images.

        The two are the first parent, or else an image of the pool, and another image of the pool; there is no other
        image that the generator may not see. {} without LoRAs of classes or images.
        """
        found = {}
        for model, _ in self.lora_rows:
            files = _files(model)
            if files is None or files.per == "set":
                continue
            if files.per == "class":
                found[model.name] = {str(label): 1.0} if str(label) in files.known else {}
            else:
                found[model.name] = self._fused(files.known, parents, pool, seed)
        return {"loras": found} if found else {}

    def _fused(self, known: frozenset[str], parents: Sequence[Sample], pool: Pool, seed: int) -> dict[str, float]:
        """Two of the `known` LoRAs of images, with shares of the sum 1 (LoFT, arXiv 2505.11703)."""
        random = rng(seed, "loras")
        choices = sorted({sample.digest[:DIGITS] for sample in pool.samples} & known)
        if not choices:
            return {}
        drawn = choices[int(random.integers(len(choices)))]
        first = next((parent.digest[:DIGITS] for parent in parents if parent.digest[:DIGITS] in choices), drawn)
        others = [choice for choice in choices if choice != first]
        share = float(random.random()) if self.lora_fusion is None else self.lora_fusion
        if not others:
            return {first: 1.0}
        return {first: share, others[int(random.integers(len(others)))]: 1.0 - share}


def _files(model: Model) -> LoraFiles | None:
    """The LoRAs of a model; None for one on a hub, which is of a set, and for one that is still to be trained."""
    from augforge.models.loras import lora_files

    if model.directory is None or (model.identity and not (model.directory / RECORD).is_file()):
        return None
    return lora_files(model)
