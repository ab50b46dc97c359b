"""Images from class names alone, the first strategy of *Leaving Reality to Imagination*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.stages.generator import GenerationInput, SampledParams
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.stage import Task

if TYPE_CHECKING:
    from augforge.models.backends import Backend


class Text2Img(DiffusionGenerator):
    """Generate images of each class from its name; no real image is used."""

    name: ClassVar[str] = "text2img"
    task: ClassVar[str] = "text-to-image"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "templates": "usual", "steps": 2}

    model: Annotated[str, Task("text-to-image")] = Field(default="sd15", description="The diffusion model.")

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """Variants without a parent, also for a class without real images."""
        return ((None, variant) for variant in range(count))

    def sample_params(self, label: str, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """No parents, and the prompt."""
        return [], {"variant": variant, **self.prompt_of(label, seed)}

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """Nothing besides the prompt."""
        return {}
