"""Images of one class edited towards another, labelled by how much of each is left: Diff-Mix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.data.ids import rng
from augforge.errors import RecipeError, did_you_mean
from augforge.stages.generator import GeneratedImage, GenerationInput, LoadedGenerator, SampledParams, required
from augforge.stages.generators.img2img import Img2Img

if TYPE_CHECKING:
    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample


class CrossClass(Img2Img):
    """Edit real images of one class towards the prompt of another (Diff-Mix, Wang et al., CVPR 2024).

    Background and pose stay of the one class where the foreground becomes the other, so that a learner cannot go by the
    background. The result has a soft label: `strength` to the power of `gamma` of the class that it was edited towards,
    the rest of its parent's; at strength 1 it is of the other class alone. Published are strengths of 0.5 to 0.9 and
    gamma 0.5, a model that was fine-tuned on the real images, and a cut of the lowest tenth by CLIP afterwards.
    """

    name: ClassVar[str] = "cross-class"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "strength": 0.5, "steps": 4}

    strength: float = Field(
        default=0.7, gt=0, le=1, description="How much of the image is replaced; 0.5 to 0.9 are published."
    )
    to: str | None = Field(
        default=None, description="The class to edit towards; if absent one of the others, drawn for each image."
    )
    gamma: float = Field(
        default=0.5, gt=0, le=100, description="The other class has strength ** gamma of the label; 0.5 is published."
    )

    def check(self) -> None:
        """Refuse a back-end without a strength, which the label is made of."""
        from augforge.models.backends import backend_class

        super().check()
        if not backend_class(self.backend_name).takes_strength:
            raise RecipeError(
                f"{self.backend_name} takes no strength, and so nothing says how much is left of a class",
                "name a model for image-to-image",
            )

    def check_classes(self, classes: Sequence[str]) -> None:
        """As the base class; it asks about other classes than that of which images are made."""
        if self.asks_about_classes:
            self.check_known(classes if self.to is None else [self.to])

    def child_label(self, label: str | None) -> str | None:
        """None: it has a soft label."""
        return None

    def made_label(self, label: str | None, parents: Sequence[Sample], sampled_params: Mapping[str, Any]) -> str | None:
        """The other class where nothing is left of the parent's, else none."""
        return str(sampled_params["target"]) if sampled_params["strength"] == 1 else None

    def target_counts(self, counts: Mapping[str | None, float]) -> dict[str | None, int]:
        """As for every generator, but none of the class that all are edited towards."""
        return {label: 0 if label == self.to else count for label, count in super().target_counts(counts).items()}

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The images in turn, but those of the class that all are edited towards."""
        there_already = any(sample.label == self.to for sample in pool.samples[:1])
        return iter(()) if there_already else super().choose_parents(pool, count)

    def draw_among(self, label: Any, parent: Sample | None, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The parent, and the prompt of the class that it is edited towards."""
        target = self._target(required(parent), pools, seed)
        parents, drawn = super().draw_among(target, parent, pools, variant, seed)
        return parents, {**drawn, "target": target, "strength": self.strength}

    def _target(self, parent: Sample, pools: Pools, seed: int) -> str:
        known = sorted(name for name, pool in pools.items() if name is not None and len(pool))
        if self.to is not None:
            if self.to not in pools:
                raise RecipeError(f"{self.name}: there is no class {self.to!r}", did_you_mean(self.to, known))
            return self.to
        others = [name for name in known if name != parent.label]
        if not others:
            raise RecipeError(f"{self.name}: there is no class beside {parent.label!r}", "it needs two classes")
        return others[int(rng(seed, "target").integers(len(others)))]

    def load(self, device: str) -> LoadedGenerator:
        """The model; what it makes is labelled by how much of each class is left."""
        loaded = super().load(device)

        def make(batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
            made = zip(batch, loaded.generate(batch), strict=True)
            return [replace(image, annotations=self._said_of(item)) for item, image in made]

        return replace(loaded, generate=make)

    def _said_of(self, item: GenerationInput) -> dict[str, Any]:
        """The soft label of an image; none where it is of the other class alone."""
        from augforge.algorithms.mix import edited_classes

        drawn = item.job.sample.sampled_params
        if drawn["strength"] == 1:
            return {}
        return edited_classes(str(item.job.parents[0].label), str(drawn["target"]), drawn["strength"], self.gamma)
