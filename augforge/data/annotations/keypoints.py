"""Keypoints: named points of things, such as the joints of a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

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
    in_pixels,
    number,
)

KEYS = ("points", "names", "label", "id", "flip")
SIDES = (("left", "right"), ("right", "left"), ("Left", "Right"), ("Right", "Left"), ("l_", "r_"), ("r_", "l_"))


class Keypoints(Kind):
    """A list of instances, each `{"points": [[x, y, v], ...], "names": [...], "label", "id", "flip"}`.

    x and y are in px, v is COCO's visibility: 0 not labelled (then x = y = 0), 1 labelled but hidden, 2 visible.
    `names` has a name for each point; `id` is that of the instance's box, if there is one. `flip` has for each point
    the place of the one that it changes with in a mirror (`flip_idx` of Ultralytics); without it, left and right in
    the names tell. [] says that there is none. A reader may give `"relative": True` and shares, as for boxes.
    """

    name: ClassVar[str] = "keypoints"
    placed: ClassVar[bool] = True

    def checked(self, value: Any, size: Size) -> tuple[Any, list[str]]:
        """The instances whose points are numbers; a labelled point outside of the image is not labelled."""
        return each_checked(value, self.name, "keypoints", lambda one: _checked(one, size))

    def moved(self, value: Any, point_map: PointMap, min_visibility: float) -> Any:
        """The points where they went; those outside are not labelled. In a mirror left and right change names."""
        found = (_moved(one, point_map) for one in value)
        return [one for one in found if any(v for _, _, v in one["points"])]

    def feature(self, values: Iterable[Any], classes: Sequence[str]) -> Any:
        """A list of structs."""
        from datasets import List, Value

        there, labels = fields_of(one for value in values for one in value)
        known: dict[str, Any] = {
            "points": List(List(Value("float64"), length=3)),
            "names": List(Value("string")),
            "label": class_feature(labels, classes if "label" in there else ()),
            "id": Value("string"),
            "flip": List(Value("int32")),
        }
        return List({name: known[name] for name in KEYS if name == "points" or name in there})

    def cell(self, value: Any, feature: Any, classes: Sequence[str]) -> Any:
        """Every instance with all fields of the column."""
        fields = feature.feature
        return [
            {name: class_cell(one.get(name), fields[name]) if name == "label" else one.get(name) for name in fields}
            for one in value
        ]

    def value(self, cell: Any, feature: Any, classes: Sequence[str]) -> Any:
        """The instances without their empty fields."""
        if cell is None:
            return None
        fields = feature.feature
        found = ({n: class_of(one[n], fields[n]) if n == "label" else one[n] for n in fields} for one in cell)
        return [{name: each for name, each in one.items() if each is not None} for one in found]

    def counts(self, value: Any, size: Size | None = None) -> Mapping[str, int]:
        """Instances with keypoints."""
        return {"instance with keypoints": len(value) if isinstance(value, (list, tuple)) else 0}

    def described(self, value: Any) -> str:
        """How many instances and labelled points."""
        points = sum(1 for one in value for *_, v in one["points"] if v)
        return f"{len(value)} instances, {points} labelled points"


def flip_index(names: Sequence[str]) -> list[int]:
    """(n,) for each point the one whose place it takes in a mirror, told by left and right in the names."""
    places = {name: place for place, name in enumerate(names)}
    return [_partner(name, places, place) for place, name in enumerate(names)]


def _partner(name: str, places: dict[str, int], itself: int) -> int:
    for side, other in SIDES:
        found = places.get(name.replace(side, other, 1)) if side in name else None
        if found is not None:
            return found
    return itself


def _checked(one: Any, size: Size) -> tuple[dict[str, Any] | None, str]:
    points = _absolute(one, size) if isinstance(one, dict) else None
    problem = _problem(points, one.get("names"), one.get("flip")) if points else "it has no points"
    if problem:
        return None, f"{problem}, left out"
    known = [point for point in map(_point, points or ()) if point is not None]
    good = [_inside(point, size) for point in known]
    return {**{name: one[name] for name in KEYS if name in one}, "points": good}, _outside(known, good)


def _problem(points: Any, names: Sequence[str] | None, flip: Any) -> str:
    """Why an instance with points cannot be used; "" if it can."""
    if not isinstance(points, (list, tuple)):
        return "its points are no list"
    wrong = [point for point in points if _point(point) is None]
    if wrong:
        return f"{wrong[0]!r} is no x, y and visibility of 0, 1 or 2"
    if names and len(names) != len(points):
        return f"it has {len(points)} points for {len(names)} names"
    return _flip_problem(len(points), flip)


def _flip_problem(count: int, flip: Any) -> str:
    """Why the places of the points in a mirror cannot be used; "" if they can, or there are none."""
    if flip is None or (isinstance(flip, list) and flip and sorted(map(str, flip)) == sorted(map(str, range(count)))):
        return ""
    return f"its flip is {flip}, not the places of its {count} points in another order"


def _absolute(one: dict[str, Any], size: Size) -> Any:
    """The points of an instance in px, also if they are given in shares of the image's sides."""
    points = one.get("points")
    if not one.get(RELATIVE) or not isinstance(points, (list, tuple)):
        return points
    return [[*in_pixels(point[:2], size), *point[2:]] if isinstance(point, list) else point for point in points]


def _outside(points: Sequence[list[float]], good: Sequence[list[float]]) -> str:
    """What is wrong with the first point that is labelled no more."""
    lost = [point for point, inside in zip(points, good, strict=True) if point[2] > inside[2]]
    return "({:g}, {:g}) lies outside of the image, not labelled".format(*lost[0]) if lost else ""


def _point(value: Any) -> list[float] | None:
    """x, y and visibility; None if it is nothing of the kind."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    found = [each for one in value if (each := number(one)) is not None]
    return found if len(found) == 3 and found[2] in (0, 1, 2) else None


def _inside(point: list[float], size: Size) -> list[float]:
    """The point; not labelled where it is not, or lies outside of the image."""
    x, y, v = point
    return [x, y, v] if v and 0 <= x <= size[1] and 0 <= y <= size[0] else [0.0, 0.0, 0.0]


def _moved(one: dict[str, Any], point_map: PointMap) -> dict[str, Any]:
    import numpy as np

    points = np.asarray(one["points"], dtype=np.float64)
    xy = point_map.points(points[:, :2])
    height, width = point_map.after
    inside = (xy >= 0).all(axis=1) & (xy <= [width, height]).all(axis=1) & (points[:, 2] > 0)
    found = [[float(x), float(y), float(v)] if i else [0.0, 0.0, 0.0] for (x, y), v, i in
             zip(xy, points[:, 2], inside, strict=True)]  # fmt: skip
    if point_map.mirrored and (order := one.get("flip") or flip_index(one.get("names") or ())):
        found = [found[place] for place in order]
    return {**one, "points": found}
