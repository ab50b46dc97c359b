"""The shapes of a LabelMe file, as boxes and keypoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from augforge.data.annotations.base import number
from augforge.io.shapes import around, ellipse, flat, joined

Thing = dict[str, Any]
Points = list[tuple[float, float]]
VISIBLE = 2


def read_shapes(shapes: Sequence[Any]) -> tuple[list[Thing | str], list[Thing]]:
    """The boxes and the instances with keypoints; a text in place of a box says what is wrong with a shape."""
    pieces: dict[Any, list[Thing]] = {}
    points: dict[Any, list[tuple[str, Points]]] = {}
    wrong: list[str] = []
    for place, shape in enumerate(shapes):
        try:
            label, group, found = _label(shape), _group(shape, place), _points(shape)
            if shape.get("shape_type") == "point":
                points.setdefault(group, []).append((label, found))
            else:
                thing = _thing(shape, found) | _said(shape, label)
                pieces.setdefault((group, label), []).append(thing)
        except ValueError as error:
            wrong.append(f"shape {place}: {error}")
    boxes = [joined(things) for things in pieces.values()]
    owners = {f"group {box['id']}": box for box in boxes if "id" in box}
    return [*boxes, *wrong], [_instance(found, owners.get(key)) for key, found in points.items()]


def _label(shape: Any) -> str:
    if not isinstance(shape, dict):
        raise ValueError("it is no shape")
    label = shape.get("label")
    if not isinstance(label, str):
        raise ValueError(f"its label is {label!r}")
    return label


def _group(shape: Thing, place: int) -> str:
    """What the shapes of one thing have in common; of a shape without a group its own place."""
    group = shape.get("group_id")
    return f"shape {place}" if group is None else f"group {group}"


def _points(shape: Thing) -> Points:
    """(n, 2) the points of a shape; ValueError if they are none."""
    listed = shape.get("points")
    found = [_point(point) for point in listed] if isinstance(listed, list) else []
    if not found:
        raise ValueError("it has no points")
    return found


def _point(point: Any) -> tuple[float, float]:
    known = [number(value) for value in point] if isinstance(point, list) else []
    if len(known) != 2 or known[0] is None or known[1] is None:
        raise ValueError(f"{point!r} is no point")
    return known[0], known[1]


def _thing(shape: Thing, points: Points) -> Thing:
    """Box and outline of a shape with an area; ValueError of others."""
    kind = shape.get("shape_type") or "polygon"
    if kind == "polygon" and len(points) >= 3:
        return {"box": around(points), "segmentation": [flat(points)]}
    if kind == "rectangle" and len(points) >= 2:
        return {"box": around(points)}
    if kind == "circle" and len(points) == 2:
        radius = math.dist(*points)
        return ellipse(*points[0], radius, radius)
    raise ValueError(f"a {kind} of {len(points)} points is none of the shapes that are read")


def _said(shape: Thing, label: str) -> Thing:
    """Class, instance and attributes of a shape."""
    flags, description, group = shape.get("flags"), shape.get("description"), shape.get("group_id")
    said: Thing = {"flags": flags} if isinstance(flags, dict) and flags else {}
    said |= {"description": description} if isinstance(description, str) and description else {}
    return {"label": label} | ({} if group is None else {"id": str(group)}) | ({"attributes": said} if said else {})


def _instance(found: list[tuple[str, Points]], owner: Thing | None) -> Thing:
    """Keypoints: of the thing in their group, or by themselves."""
    points = [[x, y, VISIBLE] for _, each in found for x, y in each[:1]]
    if owner is None and len(found) == 1:
        return {"points": points, "label": found[0][0]}
    names = {"points": points, "names": [label for label, _ in found]}
    return names if owner is None else names | {"label": owner["label"], "id": owner["id"]}
