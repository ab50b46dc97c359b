"""Variations of a real image, without text: the third strategy of *Leaving Reality to Imagination*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.stages.generator import GenerationInput, SampledParams, required
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.stage import Task

if TYPE_CHECKING:
    from augforge.models.backends import Backend


class Variation(DiffusionGenerator):
    """Generate variations of real images with a model conditioned on an image and no text."""

    name: ClassVar[str] = "variation"
    task: ClassVar[str] = "variation"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "steps": 2}

    model: Annotated[str, Task("variation")] = Field(default="image-variations", description="The diffusion model.")

    def sample_params(self, label: str, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """One parent."""
        return [required(parent)], {"variant": variant, **self.prompt_of(label, seed)}

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """The parents' images."""
        return {"images": [item.images[0] for item in batch]}
