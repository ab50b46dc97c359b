"""Of which class an image is into which instances of another were pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augforge.data.sample import Sample
from augforge.stages.generator import GenerationInput

if TYPE_CHECKING:
    from augforge.algorithms.mix import Scene


def classes_of(sample: Sample) -> dict[str, float]:
    """The classes of an image with what it counts for each."""
    from augforge.data.classes import shares_of

    return shares_of(sample.label, sample.annotations)


def of_its_things(sample: Sample) -> bool:
    """Whether the classes of an image are those of its boxes, and say what is in it rather than what it is."""
    classes = classes_of(sample)
    return bool(classes) and set(classes) <= {box.get("label") for box in sample.annotations.get("boxes", ())}


def labelled(item: GenerationInput, first: Scene) -> Scene:
    """The first scene with the classes of its things as several labels, where the result has no label of its own."""
    from dataclasses import replace

    base, other = item.job.parents
    if item.job.sample.label is not None or classes_of(base).keys() - {base.label}:
        return first
    empty = base.label is None and not first.annotations["boxes"] and of_its_things(other)
    if base.label is None and not (empty and item.job.sample.sampled_params["instances"]):
        return first
    labels = [] if base.label is None else [base.label]
    return replace(first, annotations={**first.annotations, "labels": labels})
