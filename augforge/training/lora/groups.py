"""Which images belong to which LoRA: one for all, one of each class, or one of each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from augforge.data.sample import Sample
from augforge.models.directory import DIGITS

Per = Literal["set", "class", "image"]


@dataclass(frozen=True, slots=True)
class Group:
    """The images of one LoRA: what it is of, and the places of what it learns from and is judged by.

    `of` is "" for all images, the class, or the first digits of the image's digest. An image that is learnt from is
    judged by where none is held out.
    """

    name: str
    of: str
    places: tuple[int, ...]
    held_out: tuple[int, ...]


def groups_of(per: Per, learnt: Sequence[Sample], held_out: Sequence[Sample]) -> list[Group]:
    """The groups of images, in the order of what they are of; each has an image to learn from."""
    of = named_by(per)
    names = sorted({of(sample) for sample in learnt})
    return [
        Group(f"lora-{number:03d}", name, _where(learnt, of, name), _where(held_out, of, name))
        for number, name in enumerate(names)
    ]


def named_by(per: Per) -> Callable[[Sample], str]:
    """What the LoRA of an image is of."""
    if per == "class":
        return lambda sample: str(sample.label)
    return (lambda sample: sample.digest[:DIGITS]) if per == "image" else (lambda sample: "")


def _where(samples: Sequence[Sample], of: Callable[[Sample], str], name: str) -> tuple[int, ...]:
    return tuple(place for place, sample in enumerate(samples) if of(sample) == name)
