"""A negative image for a generated one: of another class, by its likeness to the own one or at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.stages.generator import GenerationInput, SampledParams

NegativeClass = Literal["none", "similar", "any"]
KEY = "negative-class"


def draw_negative(label: str | None, pools: Pools, which: NegativeClass, nearest: int, seed: int) -> SampledParams:
    """An image of another class than `label` and what is recorded of it; none where there is no other class.

    Args:
        label: the class of the image that is made.
        pools: the images that it may be conditioned on, of every class; their likeness where `which` is "similar".
        which: "similar": of one of the `nearest` most similar classes; "any": of any other class.
        nearest: how many classes "similar" draws from.
        seed: of the image.
    """
    similar = dict(pools.similar_classes(label)[:nearest])
    others = list(similar) if which == "similar" else sorted(str(name) for name in pools if name not in (None, label))
    others = [name for name in others if len(pools[name])]
    if not others:
        return [], {}
    random = rng(seed, "negative")
    name = others[int(random.integers(len(others)))]
    samples = pools[name].samples
    drawn: dict[str, Any] = {KEY: name}
    if which == "similar":
        drawn["negative-similarity"] = round(similar[name], 6)
    return [samples[int(random.integers(len(samples)))]], drawn


def has_negative(item: GenerationInput) -> bool:
    """Whether the last parent of an image is its negative."""
    return KEY in item.job.sample.sampled_params


def without_negative(item: GenerationInput) -> GenerationInput:
    """The image with the parents of its own class alone."""
    if not has_negative(item):
        return item
    return replace(item, job=replace(item.job, parents=item.job.parents[:-1]), images=item.images[:-1])
