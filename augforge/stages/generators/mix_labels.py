"""Of which classes an image of two images is, and what else is known of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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


def said_of_both(item: GenerationInput, annotations: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Annotations of a scene that is `share` the second image, with the classes and the other columns of both."""
    from augforge.algorithms.mix import mixed_classes

    parents = item.job.parents
    said = {kind: value for kind, value in annotations.items() if kind not in ("labels", "soft_label")}
    said = {**_same_columns(parents), **said}
    if item.job.sample.label is not None:
        return said
    first, second = ((parent.label, parent.annotations) for parent in parents)
    classes = mixed_classes(first, second, 1.0 - share)
    if "labels" in classes and "boxes" in said:
        classes["labels"] = _still_seen(parents, classes["labels"], said["boxes"])
    return said | classes


def _still_seen(parents: Sequence[Sample], labels: Iterable[str], boxes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of `labels` that are of one of the `boxes`, or of a parent whose classes are not those of its things."""
    stay = {box.get("label") for box in boxes}
    stay.update(label for parent in parents if not of_its_things(parent) for label in classes_of(parent))
    return [label for label in labels if label in stay]


def _same_columns(parents: Sequence[Sample]) -> dict[str, Any]:
    """The annotation `extra` with the columns in which all parents have the same value; {} if there is none."""
    first, *others = (parent.annotations.get("extra", {}) for parent in parents)
    same = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    return {"extra": same} if same else {}
