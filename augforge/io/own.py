"""The annotations of rows that augforge writes: in records beside the usual form, and how they are read again.

A record has all annotations exactly, as JSON under `annotations`, and those that others read in the form that the hub
has for them: `objects`, `caption`. Where the two differ somebody has corrected the latter, and it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import KINDS, dump_annotations, parse_annotations

if TYPE_CHECKING:
    from augforge.io.writing import About, Line, Row

ANNOTATIONS, OBJECTS, CAPTION, BOXES = "annotations", "objects", "caption", "boxes"
NO_CLASS = ""
"""What `objects` has as the category of a box without a class."""


def xywh(box: Sequence[float]) -> list[float]:
    """COCO's (x, y, width, height) of (x0, y0, x1, y1).

    The corners come back to the last bit unless x0 + w or y0 + h lies halfway between two numbers for every w or h:
    then nobody's width is exact, and what augforge writes has the corners beside it.
    """
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def record_of(row: Row, about: About) -> Line:
    """The record of a row, with its annotations if some row has any."""
    if not about.annotations:
        return row.record()
    objects = {OBJECTS: objects_of(row.annotations)} if BOXES in about.annotations else {}
    return {**row.record(), **objects, ANNOTATIONS: dump_annotations(row.annotations)}


def record_features(about: About) -> list[Line]:
    """The keys that a record has for annotations, as the YAML header of a dataset card lists them."""
    objects: Line = {"name": OBJECTS, "struct": [{"name": "bbox", "list": {"list": "float64"}},
                                                 {"name": "categories", "list": "string"}]}  # fmt: skip
    texts = [{"name": ANNOTATIONS, "dtype": "string"}] if about.annotations else []
    return [*([objects] if BOXES in about.annotations else []), *texts]


def objects_of(annotations: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Boxes as the data sets of the hub have them: `bbox`, each (x, y, width, height) in px, and `categories`."""
    boxes = annotations.get(BOXES) or ()
    return {
        "bbox": [xywh(box["box"]) for box in boxes],
        "categories": [box.get("label", NO_CLASS) for box in boxes],
    }


def has_objects(record: Mapping[str, Any]) -> bool:
    """Whether a record has a box in `objects`: only then can their types be told from it."""
    return bool((record.get(OBJECTS) or {}).get("bbox"))


def without(record: Mapping[str, Any], names: Sequence[str]) -> Line:
    """A record less some keys."""
    return {name: value for name, value in record.items() if name not in names}


def annotations_of(record: Mapping[str, Any], carried: Mapping[str, Any] | None) -> dict[str, Any]:
    """The annotations of a record that augforge wrote; `carried` is what it knows of its sample, None if it is not."""
    if carried is None:
        return {}
    try:
        said = parse_annotations(record.get(ANNOTATIONS))
    except (TypeError, ValueError, RecursionError):
        said = {}
    said = {name: value for name, value in said.items() if name in KINDS}
    if isinstance(record.get(OBJECTS), dict) and record[OBJECTS] != objects_of(said):
        said[BOXES] = _corrected(record[OBJECTS], said.get(BOXES) or ())
    return with_caption(said, record.get(CAPTION), carried)


def with_caption(said: dict[str, Any], caption: Any, carried: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations with the caption that a row or record has, unless it is the prompt of a generated image."""
    prompt = (carried.get("sampled_params") or {}).get("prompt") or ""
    if isinstance(caption, str) and caption != (prompt or said.get(CAPTION) or ""):
        said = {name: value for name, value in said.items() if name != CAPTION}
        said |= {CAPTION: caption} if caption else {}
    return said


def _corrected(objects: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The boxes of `objects` that somebody has changed; those that were known keep all that is known of them."""
    left = [dict(box) for box in known]
    found = []
    for bbox, label in zip_longest(objects.get("bbox") or (), objects.get("categories") or (), fillvalue=NO_CLASS):
        same = next((one for one in left if (xywh(one["box"]), one.get("label", NO_CLASS)) == (bbox, label)), None)
        if same is not None:
            left.remove(same)
        found.append(same or {"box": corners(bbox), **({"label": label} if label else {})})
    return found


def corners(box: Any) -> Any:
    """(x0, y0, x1, y1) of COCO's (x, y, width, height), as readers find them; what is no such list stays as it is."""
    try:
        x, y, width, height = box
        return [x, y, x + width, y + height]
    except (TypeError, ValueError):
        return box
