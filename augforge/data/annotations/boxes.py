"""Boxes around things: detection and instance segmentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.data.annotations import segmentation
from augforge.data.annotations.base import (
    RELATIVE,
    Kind,
    PointMap,
    Size,
    class_cell,
    class_feature,
    class_of,
    each_checked,
    fields_of,
    finite,
    in_pixels,
    number,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEYS = ("box", "label", "iscrowd", "id", "segmentation", "attributes")
UNUSABLE = "box that cannot be used"
TINY = 1e-3
"""Px by which points on the border of a box lie inside of it where a move may cut there."""


class Boxes(Kind):
    """A list of boxes, each `{"box": [x0, y0, x1, y1], "label", "iscrowd", "id", "segmentation", "attributes"}`.

    Corners are in px, the second beyond the last pixel, as in torchvision (`xyxy`). All but `box` may be absent:
    `label` is its class, `iscrowd` true for a box around many (as in COCO), `id` the instance, `attributes` anything
    else. [] says that there is nothing in the image.

    A reader may give `"relative": True` and shares of the width and the height instead of px (see `in_pixels`), or, in
    place of a box, a text that says why there is none.
    """

    name: ClassVar[str] = "boxes"
    placed: ClassVar[bool] = True

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """The boxes that are numbers and have a part inside the image; one that reaches beyond it is cut there."""
        return each_checked(value, self.name, "box", lambda one: _checked(one, size))

    def moved(self, value: Any, point_map: PointMap, min_visibility: float) -> Any:
        """The boxes around where their boxes went, cut at the border; less those of which too small a share is left."""
        found = (_moved(one, point_map, min_visibility) for one in value)
        return [one for one in found if one is not None]

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A list of structs."""
        from datasets import List, Value

        there, labels = fields_of(box for value in values for box in value)
        known: dict[str, Any] = {
            "box": List(Value("float64"), length=4),
            "label": class_feature(labels, classes if "label" in there else ()),
            "iscrowd": Value("bool"),
            "id": Value("string"),
            "segmentation": {
                "polygons": List(List(Value("float64"))),
                "rle": {"size": List(Value("int32")), "counts": Value("string")},
            },
            "attributes": Value("string"),
        }
        return List({name: known[name] for name in KEYS if name == "box" or name in there})

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """Every box with all fields of the column."""
        return [{name: _cell(name, box.get(name), kind) for name, kind in feature.feature.items()} for box in value]

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The boxes without their empty fields."""
        if cell is None:
            return None
        boxes = ({name: _value(name, box[name], kind) for name, kind in feature.feature.items()} for box in cell)
        return [{name: each for name, each in box.items() if each is not None} for box in boxes]

    def counts(self, value: Any, size: Size | None = None) -> Mapping[str, int]:
        """Boxes that can be used, those of them with outlines, and the others."""
        told = value if isinstance(value, (list, tuple)) else []
        boxes = [one for one in told if _is_usable(one, size)]
        outlines = sum(bool(box.get("segmentation")) for box in boxes)
        return {"box": len(boxes), "outline": outlines, UNUSABLE: len(told) - len(boxes)}

    def described(self, value: Any) -> str:
        """How many of each class."""
        counts: dict[str, int] = {}
        for box in value:
            counts[box.get("label", "no class")] = counts.get(box.get("label", "no class"), 0) + 1
        return ", ".join(f"{count} {label}" for label, count in counts.items()) or "none"


def _checked(one: Any, size: Size) -> tuple[dict[str, Any] | None, str]:
    """A box with what can be used of it, and what is wrong."""
    one = _absolute(one, size)
    corners, problem = _corners(one.get("box")) if isinstance(one, dict) else ([], _no_box(one))
    if problem:
        return None, f"{problem}, left out"
    inside = _cut(corners, size)
    shown = "({:g}, {:g}, {:g}, {:g})".format(*corners)
    if inside is None:
        return None, f"{shown} lies outside of the image, left out"
    box = {name: one[name] for name in KEYS if one.get(name) not in (None, False, {})} | {"box": inside}
    box |= {"attributes": finite(box["attributes"])} if "attributes" in box else {}
    outline, why = segmentation.checked(box.pop("segmentation", None), size)
    problem = "" if inside == corners else f"{shown} is cut at the border"
    return box | ({"segmentation": outline} if outline else {}), problem or why


def _is_usable(one: Any, size: Size | None) -> bool:
    """Whether a box has an area, and a part inside of a picture of `size`, which may lie on its side still."""
    if not isinstance(one, dict):
        return False
    if one.get(RELATIVE):
        corners, size = in_pixels(one.get("box"), (1, 1)), (1, 1)
    else:
        corners = one.get("box")
    found, problem = _corners(corners)
    return not problem and (size is None or any(_cut(found, each) for each in {size, size[::-1]}))


def _no_box(one: Any) -> str:
    """What a reader says in place of a box."""
    return one if isinstance(one, str) else "it has not four corners"


def _absolute(one: Any, size: Size) -> Any:
    """A box in px, if it is given in shares of the image's sides; all else as it is."""
    if not isinstance(one, dict) or not one.get(RELATIVE):
        return one
    outline = [in_pixels(polygon, size) for polygon in one.get("segmentation", ())]
    return {**one, "box": in_pixels(one.get("box"), size), "segmentation": outline or None}


def _corners(value: Any) -> tuple[list[float], str]:
    """The four numbers of a box that has an area; or what is wrong with it."""
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        return [], "it has not four corners"
    found = [corner for each in value if (corner := number(each)) is not None]
    if len(found) < 4:
        return [], "a corner is no number"
    x0, y0, x1, y1 = found
    return found, "" if x1 > x0 and y1 > y0 else f"({x0:g}, {y0:g}, {x1:g}, {y1:g}) has no area"


def _cut(box: Sequence[float], size: Size) -> list[float] | None:
    """The part of a box inside an image; None if there is none."""
    height, width = size
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
    return [x0, y0, x1, y1] if x1 > x0 and y1 > y0 else None


def _moved(one: dict[str, Any], point_map: PointMap, min_visibility: float) -> dict[str, Any] | None:
    whole = around(one["box"], point_map)
    inside = _cut(whole, point_map.after)
    if inside is None or _area(inside) < min_visibility * _area(whole):
        return None
    found = {**one, "box": inside}
    if "segmentation" in one:
        outline = segmentation.moved(one["segmentation"], point_map)
        found = {name: value for name, value in found.items() if name != "segmentation"}
        found |= {"segmentation": outline} if outline else {}
    return found


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def around(box: Sequence[float], point_map: PointMap) -> list[float]:
    """The box around where the points of a box went."""
    points = point_map.points(_points(box, point_map.lines))
    edge = TINY if point_map.lines == "cut" else 0.0
    low, high = points.min(axis=0) - edge, points.max(axis=0) + edge
    return [float(low[0]), float(low[1]), float(high[0]), float(high[1])]


def _points(box: Sequence[float], lines: str) -> NDArray[np.float64]:
    """(n, 2) the points of a box that decide: its corners, its border, or all of it where it may be cut."""
    import numpy as np

    x0, y0, x1, y1 = box
    if lines == "straight":
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)
    edge = TINY if lines == "cut" else 0.0
    across, down = (_steps(a + edge, b - edge) for a, b in ((x0, x1), (y0, y1)))
    if lines == "cut":
        return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    sides = [np.stack([across, np.full_like(across, y)], axis=1) for y in (y0, y1)]
    sides += [np.stack([np.full_like(down, x), down], axis=1) for x in (x0, x1)]
    return np.concatenate(sides)


def _steps(start: float, end: float) -> NDArray[np.float64]:
    """Both ends, all whole numbers between them with a little on either side, and so never a px without a point."""
    import numpy as np

    whole = np.arange(np.ceil(start), np.floor(end) + 1)
    return np.unique(np.concatenate([[start, end], whole - TINY, whole + TINY]).clip(start, end))


def _cell(name: str, value: Any, feature: Any) -> Any:
    if name == "label":
        return class_cell(value, feature)
    if name == "attributes":
        return None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)
    if name == "segmentation":
        is_rle = isinstance(value, dict)
        return {"polygons": None if is_rle else value, "rle": value if is_rle else None}
    return bool(value) if name == "iscrowd" else value


def _value(name: str, cell: Any, feature: Any) -> Any:
    if cell is None:
        return None
    if name == "label":
        return class_of(cell, feature)
    if name == "attributes":
        return json.loads(cell)
    if name == "segmentation":
        rle = cell["rle"]
        return rle if rle and rle["counts"] is not None else cell["polygons"]
    return cell or None if name == "iscrowd" else cell
