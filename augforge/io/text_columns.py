"""What the columns of a table that tells of image files mean: labels, captions, boxes, and everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augforge.io.columns import LABEL_NAMES
from augforge.io.listed import label_of
from augforge.io.own import corners
from augforge.io.records import text_of

CAPTION_NAMES = ("caption", "text")
BOX_NAMES = ("bbox", "bboxes", "box", "boxes")
CATEGORY_NAMES = ("category", "categories", "label", "labels", "name", "class")
PLAIN = (str, int, float, bool, list, dict)


def meaning(
    row: Mapping[str, Any], path: str, types: Mapping[str, str]
) -> tuple[str | None, str | None, dict[str, Any]]:
    """Label, split and annotations of a row; `path` is the column of the image's path.

    `label` (or class, category, ...) is a text or a number; a list is several. `caption` or `text` is the caption;
    `objects` has boxes in COCO's (x, y, width, height), as the data sets of the Hugging Face hub have them. All other
    columns are `extra`.
    """
    left = {name: value for name, value in row.items() if name != path and value not in (None, "")}
    label, several = _take_label(left)
    said = {**several, **take_caption(left), **_take_objects(left)}
    split = text_of(left.pop("split", None))
    if label is None and not several:
        label, several = label_of(box["label"] for box in said.get("boxes", ()) if "label" in box)
    extra = {name: _typed(value, types.get(name)) for name, value in left.items()}
    return label, split, {**said, **several, **({"extra": extra} if extra else {})}


def _take_label(left: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The label, or several, of a row, whose column is taken out."""
    name = next((name for name in LABEL_NAMES if name in left), None)
    value = left.pop(name) if name else None
    if isinstance(value, list):
        return None, {"labels": [text for each in value if (text := text_of(each)) is not None]}
    return text_of(value), {}


def take_caption(left: dict[str, Any]) -> dict[str, Any]:
    """The caption of a row, whose column is taken out; the first of several, all of which stay."""
    name = next((name for name in CAPTION_NAMES if isinstance(left.get(name), str)), None)
    if name is not None:
        return {"caption": left.pop(name)}
    name = next((name for name in (*CAPTION_NAMES, "captions") if _are_texts(left.get(name))), None)
    if name is None:
        return {}
    texts = left[name] if len(left[name]) > 1 else left.pop(name)
    return {"caption": texts[0]}


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _take_objects(left: dict[str, Any]) -> dict[str, Any]:
    """The boxes of the column `objects`: a struct of lists, or a list of structs."""
    return {"boxes": boxes_of(left.pop("objects"))} if isinstance(left.get("objects"), (dict, list)) else {}


def boxes_of(objects: Mapping[str, Any] | Sequence[Any], as_corners: bool = False) -> list[dict[str, Any]]:
    """The boxes of a struct of lists, or of a list of structs: in COCO's (x, y, width, height), or `as_corners`."""
    listed = _transposed(objects) if isinstance(objects, Mapping) else [one for one in objects if isinstance(one, dict)]
    return [_box(dict(one), as_corners) for one in listed]


def _box(left: dict[str, Any], as_corners: bool) -> dict[str, Any]:
    """One thing as a box; what it has beyond is its attributes."""
    place, identity = _take(left, BOX_NAMES), _take(left, ("id",))
    _take(left, ("area",))
    box = {
        "box": place if as_corners else corners(place),
        "label": text_of(_take(left, CATEGORY_NAMES)),
        "iscrowd": bool(_take(left, ("iscrowd",))) or None,
        "id": None if identity is None else str(identity),
        "segmentation": _take(left, ("segmentation",)) or None,
    }
    box["attributes"] = _there(left) or None
    return {"box": box.pop("box"), **_there(box)}


def _there(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _take(left: dict[str, Any], names: Sequence[str]) -> Any:
    """The value of the first of some keys that is there, which is taken out."""
    name = next((name for name in names if name in left), None)
    return left.pop(name) if name else None


def _transposed(objects: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = {name: values for name, values in objects.items() if isinstance(values, list)}
    count = max(map(len, columns.values()), default=0)
    return [{name: values[place] for name, values in columns.items() if place < len(values)} for place in range(count)]


def _typed(value: Any, kind: str | None) -> dict[str, Any]:
    """A value of another column as JSON, with its Arrow type; what JSON has no word for is text."""
    if kind is None:
        names = {bool: "bool", int: "int64", float: "float64", str: "string"}
        kind = names.get(type(value), "string")
    if isinstance(value, (list, dict)) and not kind.startswith("list<"):
        import json

        return {"type": "string", "value": json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)}
    return {"type": kind, "value": value} if isinstance(value, PLAIN) else {"type": "string", "value": str(value)}
