"""What an annotation of Label Studio says of an image: a label, boxes, keypoints, captions.

Of an image that augforge wrote, what Label Studio has no place for stays as it was, and what nobody changed comes back
exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from augforge.io.label_studio_places import is_moved, outline_of, place_of, point_of
from augforge.io.label_studio_regions import CAPTION, CHOICE, CHOICES, places_of, results_of
from augforge.io.label_studio_results import Drawn, Results, gathered, main_control
from augforge.io.listed import label_of
from augforge.io.own import BOXES

LABEL_NAMES = (CHOICE, "class", "category", "choice")
TEXT_NAMES = (CAPTION, "text", "description")
KEYPOINTS, LABELS, SOFT, EXTRA = "keypoints", "labels", "soft_label", "extra"
KNOWN = frozenset({"id", "iscrowd", "attributes", "visible"})
"""What augforge keeps in the `meta` of a region."""


class Notes:
    """The label and the annotations of an image. `label` and `said` are those that it was exported with, `ours` whether
    augforge did that.
    """

    def __init__(self, found: Results, label: str | None = None, said: Mapping[str, Any] | None = None) -> None:
        self._found, self._ours, self._label = found, said is not None, label
        self._before = dict(said or {})
        self._was = gathered(results_of(label, self._before, found.size or (1, 1)) if self._ours else [])
        self._places = places_of(self._before)

    def read(self, draws: bool = True) -> tuple[str | None, dict[str, Any]]:
        """Label and annotations. `draws` says whether an image without regions is known to have no box."""
        said = dict(self._before)
        boxes, points = list(self._boxes()), list(self._keypoints())
        said |= {BOXES: boxes} if boxes or draws or BOXES in said else {}
        said |= {KEYPOINTS: points} if points or KEYPOINTS in said else {}
        label, several = self._classes(boxes, said)
        self._captions(said)
        return label, {name: value for name, value in {**said, **several}.items() if value is not None}

    def _classes(self, boxes: Sequence[Any], said: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """The label, or several; other choices become columns."""
        chosen, was = self._found.choices, self._was.choices
        main = CHOICE if self._ours or CHOICE in chosen else main_control([*chosen], LABEL_NAMES)
        others = {name: each for name, each in chosen.items() if name not in (main, CHOICES)}
        self._add_columns(said, others)
        if self._ours and all(chosen.get(name) == was.get(name) for name in (CHOICE, CHOICES)):
            return self._label, {}
        said[SOFT] = None  # it was of the label that somebody has changed
        if CHOICES in chosen or CHOICES in was:
            label = next(iter(chosen.get(main, ())), None)
            return label, {
                LABELS: self._before.get(LABELS) if chosen.get(CHOICES) == was.get(CHOICES) else chosen.get(CHOICES)
            }
        named = [box["label"] for box in boxes if isinstance(box, dict) and "label" in box]
        return label_of(chosen.get(main) or ([] if self._ours else named))

    def _captions(self, said: dict[str, Any]) -> None:
        """The caption, if it is another than it was; other texts become columns."""
        texts, was = self._found.texts, self._was.texts
        main = CAPTION if self._ours else main_control([*texts], TEXT_NAMES)
        others = {name: each for name, each in texts.items() if name != main}
        if texts.get(main) != was.get(main):
            said[CAPTION] = next(iter(texts.get(main, ())), None)
            others |= {"captions": texts[main]} if len(texts.get(main, ())) > 1 else {}
        self._add_columns(said, others)

    def _add_columns(self, said: dict[str, Any], columns: Mapping[str, list[str]]) -> None:
        more = {name: _column(each) for name, each in columns.items() if each}
        said |= {EXTRA: {**said.get(EXTRA, {}), **more}} if more else {}

    def _boxes(self) -> Iterator[Any]:
        """The boxes: of regions that are no points, and no outlines of others."""
        regions = self._found.regions
        outlines: dict[str, list[Drawn]] = {}
        for region in regions.values():
            parent = regions.get(region.parent)
            if region.is_outline and parent is not None and not (parent.is_outline or parent.is_point):
                outlines.setdefault(parent.id, []).append(region)
        inner = {one.id for group in outlines.values() for one in group}
        for region in regions.values():
            if not region.is_point and region.id not in inner:
                yield self._box(region, outlines.get(region.id, []))

    def _box(self, region: Drawn, outlines: Sequence[Drawn]) -> dict[str, Any] | str:
        """A box, or why there is none."""
        before = self._was.regions
        try:
            moved = is_moved(region, before.get(region.id)) or region.id not in self._places
            place = place_of(region) if moved or region.is_outline else {"box": list(self._places[region.id])}
            drawn = outline_of(outlines, before, self._places)
        except (ValueError, OverflowError) as error:
            return f"region {region.id!r}: {error}"
        return _about(region, before.get(region.id)) | place | ({"segmentation": drawn} if drawn else {})

    def _keypoints(self) -> Iterator[dict[str, Any]]:
        """The instances of keypoints: those that were there, and those of points that are new."""
        used: set[str] = set()
        for place, one in enumerate(self._before.get(KEYPOINTS) or ()):
            ids = [f"points-{place}-{number}" for number in range(len(one["points"]))]
            used.update(ids)
            if not self._was.regions.keys() & ids or self._found.regions.keys() & ids:
                yield self._instance(one, ids)
        groups: dict[str, list[Drawn]] = {}
        for region in self._found.regions.values():
            if region.is_point and region.id not in used:
                parent = region.parent if region.parent in self._found.regions else ""
                groups.setdefault(parent or region.id, []).append(region)
        yield from (self._new_instance(group) for group in groups.values())

    def _instance(self, one: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
        """An instance that augforge wrote, its points where they are now."""
        points = [list(point) for point in one["points"]]
        names = list(one.get("names") or [f"point {number}" for number in range(1, len(points) + 1)])
        for place, identity in enumerate(ids):
            region, was = self._found.regions.get(identity), self._was.regions.get(identity)
            if region is None:
                points[place] = [0.0, 0.0, 0.0]
            elif is_moved(region, was):
                points[place] = _point(region)
            names[place] = region.labels[0] if region and region.labels else names[place]
        usual = "names" not in one and names == [f"point {number}" for number in range(1, len(points) + 1)]
        return {**one, "points": points, **({} if usual else {"names": names})}

    def _new_instance(self, group: Sequence[Drawn]) -> dict[str, Any]:
        """An instance of points that lie below one region, or of one point."""
        parent = self._found.regions.get(group[0].parent)
        about = _about(parent, self._was.regions.get(parent.id)) if parent else {}
        names = [region.labels[0] if region.labels else f"point {place}" for place, region in enumerate(group, start=1)]
        kept: dict[str, Any] = {name: about[name] for name in ("label", "id") if name in about}
        return {"points": [_point(region) for region in group], "names": names, **kept}


def _point(region: Drawn) -> list[Any]:
    """A point (x, y, visibility), null where it has no place."""
    try:
        return [*point_of(region), 1.0 if region.meta.get("visible") is False else 2.0]
    except (ValueError, OverflowError):
        return [None, None, 2.0]


def _about(region: Drawn, was: Drawn | None) -> dict[str, Any]:
    """What is said of a region beside its place. One that augforge wrote has its id, or none; a new one that of its
    region.
    """
    meta = {**region.meta, **(was.meta if was else {})}
    attributes = meta.get("attributes") if isinstance(meta.get("attributes"), dict) else {}
    other = {name: value for name, value in region.meta.items() if name not in KNOWN}
    more = {LABELS: region.labels} if len(region.labels) > 1 else {}
    found = {
        "label": next(iter(region.labels), None),
        "id": meta.get("id") if was or "id" in meta else region.id,
        "iscrowd": True if meta.get("iscrowd") is True else None,
        "attributes": {**(attributes or {}), **other, **region.said, **more} or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _column(values: Sequence[str]) -> dict[str, Any]:
    """A column of a text, or of several."""
    if len(values) == 1:
        return {"type": "string", "value": values[0]}
    return {"type": "list<item: string>", "value": list(values)}
