"""Triplets for composed retrieval: a reference image, a sentence that says what changes, and the image that results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, LoadedGenerator, SampledParams
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.prompts import fill
from augforge.stages.stage import Task

if TYPE_CHECKING:
    from augforge.data.likeness import Likeness

TEMPLATES = (
    "instead of {reference}, show {target}",
    "not {reference}, but {target}",
    "make it {target} rather than {reference}",
    "replace {reference} with {target}",
    "as {reference}, only now {target}",
    "turn {reference} into {target}",
)
"""How two captions become one sentence about what changes."""


class Triplets(OperatorGenerator):
    """Pair each image with another one that is neither near nor far, and say in words what changes.

    The rule of SPN4CIR (Feng et al., *Improving Composed Image Retrieval via Contrastive Learning with Scaling
    Positives and Negatives*, 2024): the target is one of the images of the ranks `nearest` to `farthest`, by the
    similarity of a model, so that the sentence has something to say and the pair something in common. A row is a
    triplet: `image` is the reference, the picture `target` the target, `caption` the sentence, and `extra` has the ids
    of `target` and `negatives`: the images most similar to the target that are not it (hard negatives). Captions are
    those of the images, else their classes. An image with the same bytes as another is no other.
    """

    name: ClassVar[str] = "triplets"
    example: ClassVar[Mapping[str, Any]] = {"nearest": 2, "farthest": 10}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model that says how alike two images are."
    )
    nearest: int = Field(
        default=10, ge=1, le=100_000_000, description="The nearest rank of a target; 1 is the most similar image."
    )
    farthest: int = Field(default=100, ge=1, le=100_000_000, description="The farthest rank of a target.")
    negatives: int = Field(default=4, ge=0, le=1000, description="Hard negatives to name for each triplet.")

    @model_validator(mode="after")
    def _window(self) -> Triplets:
        if self.farthest < self.nearest:
            raise ValueError("farthest is no less than nearest")
        return self

    @property
    def plans_by_likeness(self) -> bool:
        """True: the target is one of the most similar images."""
        return True

    def packages(self) -> tuple[str, ...]:
        """What compares."""
        return ("torch",)

    def load(self, device: str) -> LoadedGenerator:
        """Nothing to load; the model that compared is recorded."""
        from augforge.models import find_model

        loaded = super().load(device)
        return replace(loaded, facts={**loaded.facts, "model": find_model(self.model, "image-embedding").facts()})

    def draw(self, label: Any, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The target, its rank, the sentence and the hard negatives."""
        likeness, known = pools.likeness, pools.by_id
        inside = list(islice(_others(likeness, parent, known), self.nearest - 1, self.farthest))
        if not inside:
            return [parent], {"variant": variant, "rank": 0}
        random = rng(seed, "triplet")
        place = int(random.integers(len(inside)))
        target, similarity = inside[place]
        template = TEMPLATES[int(random.integers(len(TEMPLATES)))]
        hard = (identity for identity, _ in _others(likeness, known[target], known) if identity != parent.id)
        return [parent, known[target]], {
            "variant": variant,
            "rank": self.nearest + place,
            "similarity": round(similarity, 6),
            "caption": _sentence(template, _words(parent), _words(known[target])),
            "negatives": list(islice(hard, self.negatives)),
        }

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The reference as it is, with what belongs to it."""
        import numpy as np

        from augforge.algorithms.geometry import Geometry
        from augforge.errors import BadImage

        if len(item.images) < 2:
            raise BadImage(f"there is no other image of rank {self.nearest} to {self.farthest}: give smaller ranks")
        drawn, reference = item.job.sample.sampled_params, item.job.parents[0]
        extra = {
            **reference.annotations.get("extra", {}),
            "target": {"type": "string", "value": item.job.parents[1].id},
            "negatives": {"type": "list<item: string>", "value": drawn["negatives"]},
        }
        before = {kind: value for kind, value in reference.annotations.items() if kind != "captioned_by"}
        said = {**before, "caption": drawn["caption"], "extra": extra}
        image, target = map(np.asarray, item.images)
        return GeneratedImage(
            image, pictures={**self.pictures_after(item, Geometry()), "target": target}, annotations=said
        )


def _others(likeness: Likeness | None, image: Sample, known: Mapping[str, Sample]) -> Iterator[tuple[str, float]]:
    """The images that differ from one, the most similar first; of several with the same bytes the first."""
    if likeness is None or image.id not in likeness:
        return
    met = {image.digest}
    for identity, similarity in likeness.ranked(image.id):
        if identity in known and known[identity].digest not in met:
            met.add(known[identity].digest)
            yield identity, similarity


def _sentence(template: str, reference: str, target: str) -> str:
    """What changes; between two images with the same words only which one it is."""
    return f"another one of {target}" if reference == target else template.format(reference=reference, target=target)


def _words(image: Sample) -> str:
    """What an image shows, in words."""
    labels = [image.label] if image.label is not None else image.annotations.get("labels") or [None]
    return str(image.annotations.get("caption") or " and ".join(fill("a {label}", label) for label in labels))
