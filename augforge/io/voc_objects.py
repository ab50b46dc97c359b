"""The objects of an XML file of Pascal VOC, as boxes with all that is said of them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from augforge.data.annotations.base import DIGITS
from augforge.io.xml import text

CORNERS = ("xmin", "ymin", "xmax", "ymax")
YES_NO = {"0": False, "1": True}
FLAGS = frozenset({"difficult", "truncated", "occluded"})
"""What is true or false of an object."""
NO_ATTRIBUTES = frozenset({"name", "bndbox", "polygon", "part", "attributes"})
LONGEST = 4300
"""Characters of the longest number that is read."""


def box_of(thing: Element, first: int) -> dict[str, Any]:
    """The box of an object. `first` is 1 if the file counts pixels from 1 and both corners lie in the box, else 0."""
    label, said, outline = thing.findtext("name") or "", _attributes(thing), _outline(thing, first)
    found = {
        "box": _corners([_number(text(thing, f"bndbox/{name}")) for name in CORNERS], first),
        "label": label or None,
        "segmentation": [outline] if outline else None,
        "attributes": said or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _corners(corners: list[Decimal | None], first: int) -> list[float | None]:
    """(x0, y0, x1, y1); what is no number is None, and refused when the box is checked."""
    known = [corner for corner in corners if corner is not None]
    if len(known) < len(corners):
        return [None if corner is None else float(corner) for corner in corners]
    (x0, x1), (y0, y1) = _ends(known[0], known[2], first), _ends(known[1], known[3], first)
    return [x0, y0, x1, y1]


def _ends(low: Decimal, high: Decimal, first: int) -> tuple[float, float]:
    """Where a box begins and ends along one axis, also if its corners are in the other order."""
    if high <= DIGITS.subtract(low, first):
        low, high = high, low
    return float(DIGITS.subtract(low, first)), float(high)


def _outline(thing: Element, first: int) -> list[float | None]:
    """The polygon of an object, x, y, x, y, ...; [] if it has none. Its points are all counted from the same pixel."""
    polygon = thing.find("polygon")
    values = [] if polygon is None else [_number((one.text or "").strip()) for one in polygon.iter() if len(one) == 0]
    return [None if value is None else float(DIGITS.subtract(value, first)) for value in values]


def _number(word: str) -> Decimal | None:
    """A finite number, exactly as it is written."""
    try:
        return Decimal(word) if len(word) < LONGEST and math.isfinite(float(word)) else None
    except ValueError:
        return None


def _attributes(thing: Element) -> dict[str, Any]:
    """All that is said of an object beyond its class and its place."""
    found = {child.tag: _value(child) for child in thing if child.tag not in NO_ATTRIBUTES}
    found |= {text(one, "name"): one.findtext("value") or "" for one in thing.iterfind("attributes/attribute")}
    said = {name: YES_NO[value] if name in FLAGS and value in ("0", "1") else value for name, value in found.items()}
    return {name: value for name, value in said.items() if value not in ("", {})}


def _value(element: Element) -> Any:
    """The text of an element, or what lies in it by name; a list of those that come several times."""
    if len(element) == 0:
        return (element.text or "").strip()
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(_value(child))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
