"""What generators that are told in words what to make share: the prompt of each image, and whose caption is in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from augforge.stages import prompts
from augforge.stages.generator import Generator, SampledParams

if TYPE_CHECKING:
    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample


class PromptedGenerator(Generator):
    """A generator with a prompt for each image.

    `{caption}` in it is the caption of an image: with `contexts: own` that of the parent, with `shuffle` that of
    another image, whatever its class (BOB, CVPR 2026): so that no background belongs to one class alone. Whose it is
    stands in the row, as `context`. Other words in braces are attributes that a `caption: classes` before it lists.
    """

    prompt: str = Field(
        default="a photo of a {label}", description="The prompt; {label} is the class name, {caption} a caption."
    )
    templates: str = Field(
        default="",
        description="Choose each image's prompt from a file of templates (JSON: by class), or from the `usual`.",
    )
    contexts: Literal["own", "shuffle"] = Field(
        default="own", description="{caption} is that of the parent, or of another image of whatever class."
    )

    @property
    @abstractmethod
    def reads_prompt(self) -> bool:
        """Whether there is anything that reads the prompt."""

    def check(self) -> None:
        """Refuse templates that cannot be read."""
        super().check()
        if self.templates:
            prompts.read_templates(self.templates)

    def asked_for(self) -> set[str]:
        """What stands in braces in its prompts; nothing where nothing reads them."""
        return prompts.asked_for(self.prompt, self.templates) if self.reads_prompt else set()

    def prompt_of(self, label: str, seed: int) -> dict[str, str]:
        """The prompt of one image, as a sampled parameter; {} where nothing reads it."""
        if not self.reads_prompt:
            return {}
        return {"prompt": prompts.choose(self.prompt, self.templates, label, seed)}

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The images in turn; where their own captions go into the prompts, those that have one."""
        if self.contexts == "own" and "caption" in self.asked_for():
            pool = prompts.with_captions(pool, self.name)
        return super().choose_parents(pool, count)

    def draw_among(self, label: Any, parent: Sample | None, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The parents and parameters, with what the prompt asks for in it, and the id of whose caption that is."""
        parents, drawn = super().draw_among(label, parent, pools, variant, seed)
        if "prompt" not in drawn:
            return parents, drawn
        prompt = prompts.with_words(str(drawn["prompt"]), pools.words, str(label), seed)
        if prompts.CAPTION not in prompt:
            return parents, {**drawn, "prompt": prompt}
        donor = self._donor(label, parent, pools, variant)
        return parents, {**drawn, **prompts.in_context(prompt, donor, self.name)}

    def _donor(self, label: Any, parent: Sample | None, pools: Pools, variant: int) -> Sample | None:
        """The image whose caption goes into a prompt."""
        if parent is None:
            return pools.contexts.of_any(label, variant, own=self.contexts == "own")
        return parent if self.contexts == "own" else pools.contexts.of_another(parent, variant)
