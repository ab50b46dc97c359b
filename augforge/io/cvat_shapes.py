"""The shapes of an image in an XML file of CVAT, as boxes and keypoints."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from augforge.data.annotations import segmentation
from augforge.io.shapes import around, ellipse, flat, turned

Thing = dict[str, Any]
CORNERS = ("xtl", "ytl", "xbr", "ybr")
PLACE = frozenset({
    *CORNERS, "points", "label", "cx", "cy", "rx", "ry", "rotation", "rle", "left", "top", "width", "height", "id",
})  # fmt: skip
"""The XML attributes of a shape that say where it is, or of which class."""
VISIBLE, HIDDEN, UNKNOWN = 2, 1, 0


def read_shapes(image: Element) -> tuple[list[Thing | str], list[Thing]]:
    """The boxes and the instances with keypoints of an image; a text in place of a box says what is wrong."""
    boxes: list[Thing | str] = []
    points: list[Thing] = []
    for place, shape in enumerate(child for child in image if child.tag != "tag"):
        try:
            if shape.tag in ("points", "skeleton"):
                points.append(_skeleton(shape) if shape.tag == "skeleton" else _points_of(shape))
            else:
                boxes.append(_area(shape, image) | _said(shape))
        except (ValueError, KeyError) as error:
            missing = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
            boxes.append(f"{shape.tag} {place}: {missing}")
    return boxes, points


def tags(image: Element) -> list[str]:
    """The classes of a whole image."""
    return [tag.attrib["label"] for tag in image.iterfind("tag") if "label" in tag.attrib]


def _area(shape: Element, image: Element) -> Thing:
    """Box and outline of a shape with an area; ValueError or KeyError of others."""
    match shape.tag:
        case "box":
            box, degrees = [_float(shape, name) for name in CORNERS], float(shape.get("rotation") or 0)
            return turned(box, degrees) if degrees else {"box": box}
        case "polygon":
            points = _points(shape)
            return {"box": around(points), "segmentation": [flat(points)]}
        case "ellipse":
            return ellipse(*(_float(shape, name) for name in ("cx", "cy", "rx", "ry")))
        case "mask":
            return _mask(shape, image)
    raise ValueError("none of the shapes that are read")


def _mask(shape: Element, image: Element) -> Thing:
    """A mask: run lengths of the rows of its box, the first of what is outside of it."""
    import numpy as np

    left, top, width, height = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in shape.attrib["rle"].split(",")]
    size = int(image.attrib["height"]), int(image.attrib["width"])
    if min(left, top, *runs) < 0 or top + height > size[0] or left + width > size[1] or sum(runs) != width * height:
        raise ValueError("its run lengths do not fit its box, or the box the image")
    whole = np.zeros(size, dtype=np.uint8)
    whole[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    return {"box": [left, top, left + width, top + height], "segmentation": segmentation.encoded(whole)}


def _points_of(shape: Element) -> Thing:
    """The points of one shape as keypoints without names."""
    seen = HIDDEN if shape.get("occluded") == "1" else VISIBLE
    return {"points": [[x, y, seen] for x, y in _points(shape)], "label": shape.attrib["label"]}


def _skeleton(shape: Element) -> Thing:
    """The points of a skeleton, named as they are labelled."""
    parts = list(shape.iterfind("points"))
    if not parts:
        raise ValueError("it has no points")
    found = [[*_points(part)[0], _seen(part)] for part in parts]
    return {"points": found, "names": [part.attrib["label"] for part in parts], "label": shape.attrib["label"]}


def _seen(part: Element) -> int:
    if part.get("outside") == "1":
        return UNKNOWN
    return HIDDEN if part.get("occluded") == "1" else VISIBLE


def _points(shape: Element) -> list[tuple[float, float]]:
    pairs = [pair.split(",") for pair in shape.attrib["points"].split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("its points are no pairs of x and y")
    return [(_finite(x), _finite(y)) for x, y in pairs]


def _float(shape: Element, name: str) -> float:
    return _finite(shape.attrib[name])


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text!r} is no number")
    return value


def _said(shape: Element) -> Thing:
    """Class and attributes of a shape."""
    own = {one.get("name", ""): (one.text or "").strip() for one in shape.iterfind("attribute")}
    other: Thing = {name: value for name, value in shape.attrib.items() if name not in PLACE}
    if "occluded" in other:
        other["occluded"] = other["occluded"] == "1"
    return {"label": shape.attrib["label"]} | ({"attributes": other | own} if other or own else {})
