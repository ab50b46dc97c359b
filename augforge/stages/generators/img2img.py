"""Images from a real image and its class name, the second strategy of *Leaving Reality to Imagination*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.stages.generator import GenerationInput, SampledParams, required
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.stage import Task

if TYPE_CHECKING:
    from augforge.models.backends import Backend


class Img2Img(DiffusionGenerator):
    """Vary real images with the class name as the prompt: partly noised, then denoised."""

    name: ClassVar[str] = "img2img"
    task: ClassVar[str] = "image-to-image"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "strength": 0.5, "steps": 4}

    model: Annotated[str, Task("image-to-image")] = Field(default="sd15", description="The diffusion model.")
    strength: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="How much of the image is replaced; at 1 hardly any is left. Not for models that take references.",
    )

    def check(self) -> None:
        """Refuse a strength that leaves no step."""
        from augforge.models.backends import backend_class

        super().check()
        if backend_class(self.backend_name).takes_strength and int(self._steps * self.strength) < 1:
            raise RecipeError(f"strength {self.strength:g} of {self._steps} steps leaves no step to run", "raise steps")

    def sample_params(self, label: str, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """One parent, and the prompt."""
        return [required(parent)], {"variant": variant, **self.prompt_of(label, seed)}

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """The parents' images; an IP-Adapter also gets their embeddings."""
        pictures = [item.images[0] for item in batch]
        condition: dict[str, Any] = {"images": pictures, "strength": self.strength}
        if "embedding" in backend.carries:
            keys = [item.job.parents[0].digest for item in batch]
            condition["embeds"] = backend.embed_once(keys, pictures)
        return condition
