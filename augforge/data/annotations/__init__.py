"""Annotations: what is known of an image's content beyond its one label and its mask.

A sample's annotations are a mapping from the names of kinds to values, `{"boxes": [...], "caption": "a dog"}`. A kind
is one file with one class, and one line in `KINDS`; nothing else names it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from augforge.data.annotations.base import Kind, PointMap, Size, finite
from augforge.data.annotations.boxes import Boxes
from augforge.data.annotations.caption import Caption
from augforge.data.annotations.captioned_by import CaptionedBy
from augforge.data.annotations.extra import Extra
from augforge.data.annotations.keypoints import Keypoints
from augforge.data.annotations.labels import Labels, SoftLabel

__all__ = [
    "KINDS",
    "Annotations",
    "Kind",
    "ParsedTexts",
    "PointMap",
    "Size",
    "annotation_cells",
    "annotation_features",
    "annotation_values",
    "check_annotations",
    "count_annotations",
    "describe_annotations",
    "dump_annotations",
    "move_annotations",
    "parse_annotations",
]

Annotations = Mapping[str, Any]
_EVERY: tuple[Kind, ...] = (Labels(), SoftLabel(), Boxes(), Keypoints(), Caption(), CaptionedBy(), Extra())
KINDS: dict[str, Kind] = {kind.name: kind for kind in _EVERY}


def check_annotations(annotations: Annotations, size: Size) -> tuple[dict[str, Any], list[str]]:
    """What can be used on an image of `size` (height, width), and what is wrong with the rest.

    Raises:
        ValueError: there is no such kind, which is a defect of what reads them.
    """
    good: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in annotations.items():
        if name not in KINDS:
            raise ValueError(f"there is no kind of annotation {name!r}; there are {', '.join(KINDS)}")
        usable, problems = KINDS[name].checked(value, size) if value is not None else (None, [])
        wrong += problems
        if usable is not None:
            good[name] = usable
    return good, wrong


def move_annotations(annotations: Annotations, point_map: PointMap, min_visibility: float) -> dict[str, Any]:
    """All annotations after their image was moved.

    Args:
        annotations: of the image before.
        point_map: where its points went.
        min_visibility: the share of a moved box that has to lie inside the image, in [0, 1], for it to be kept.
    """
    found = {name: KINDS[name].moved(value, point_map, min_visibility) for name, value in annotations.items()}
    return {name: value for name, value in found.items() if value is not None}


def dump_annotations(annotations: Annotations) -> str:
    """The annotations as canonical JSON, "" if there are none; equal ones give equal texts. Not checked ones may have
    numbers that JSON has not: null stands for them.
    """
    if not annotations:
        return ""
    try:
        return _dumped(dict(annotations))
    except ValueError:
        return _dumped(finite(dict(annotations)))


def _dumped(annotations: Annotations) -> str:
    return json.dumps(annotations, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_annotations(text: str | None) -> dict[str, Any]:
    """The annotations of such a text."""
    return dict(json.loads(text)) if text else {}


class ParsedTexts(Collection[dict[str, Any]]):
    """Annotations that are kept as texts and parsed whenever one goes through them: they need little memory."""

    def __init__(self, texts: Iterable[str | None]) -> None:
        self._texts = [text for text in texts if text]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(parse_annotations, self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)


def annotation_features(annotations: Collection[Annotations], classes: Sequence[str]) -> dict[str, Any]:
    """The features of `datasets` for the kinds that occur, by their names, in the order of `KINDS`.

    `annotations` are gone through once for each kind.
    """
    there = {name for each in annotations for name in each}
    return {
        name: kind.feature((each[name] for each in annotations if name in each), classes)
        for name, kind in KINDS.items()
        if name in there
    }


def annotation_cells(annotations: Annotations, features: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The cells of a row, None for what it has not, in the columns of `features` but for `caption`, which is a text."""
    return {
        name: KINDS[name].cell(annotations[name], feature, classes) if name in annotations else None
        for name, feature in features.items()
        if name != Caption.name
    }


def annotation_values(cells: Mapping[str, Any], features: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The annotations in the cells of a row: what `annotation_cells` made of them, taken back."""
    found = {name: KINDS[name].value(cells.get(name), feature, classes) for name, feature in features.items()}
    return {name: value for name, value in found.items() if value is not None}


def count_annotations(annotations: Annotations, size: Size | None = None) -> dict[str, int]:
    """How many things of what kind unchecked annotations tell of, such as {"box": 3, "caption": 1}.

    `size` is the height and width in px of the image, if they are said.
    """
    found: dict[str, int] = {}
    for name, value in annotations.items():
        if value is not None:
            found |= KINDS[name].counts(value, size)
    return found


def describe_annotations(annotations: Annotations) -> dict[str, str]:
    """Each kind in a few words, for people."""
    return {name: KINDS[name].described(value) for name, value in annotations.items()}
