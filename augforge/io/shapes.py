"""Shapes that annotation tools draw, as boxes with outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

CORNERS = 64
"""Of the polygon that stands for an ellipse: its area is 0.2 % less."""


def around(points: Sequence[Sequence[float]]) -> list[float]:
    """The box (x0, y0, x1, y1) around points (x, y)."""
    across, down = [x for x, _ in points], [y for _, y in points]
    return [min(across), min(down), max(across), max(down)]


def flat(points: Sequence[Sequence[float]]) -> list[float]:
    """Points (x, y) as one list x, y, x, y, ..."""
    return [value for point in points for value in point]


def ellipse(x: float, y: float, across: float, down: float) -> dict[str, Any]:
    """The box and the outline, a polygon of `CORNERS` points on it, of an ellipse with these radii around (x, y)."""
    turns = (2 * math.pi * place / CORNERS for place in range(CORNERS))
    outline = [(x + across * math.cos(turn), y + down * math.sin(turn)) for turn in turns]
    return {"box": [x - across, y - down, x + across, y + down], "segmentation": [flat(outline)]}


def turned(box: Sequence[float], degrees: float) -> dict[str, Any]:
    """A box turned clockwise around its centre: the box around it, and it as the outline."""
    x0, y0, x1, y1 = box
    x, y, turn = (x0 + x1) / 2, (y0 + y1) / 2, math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [(x0 - x, y0 - y), (x1 - x, y0 - y), (x1 - x, y1 - y), (x0 - x, y1 - y)]
    points = [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners]
    return {"box": around(points), "segmentation": [flat(points)]}


def joined(things: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several pieces of one thing as one: the box around all of them, and their polygons together."""
    first = things[0]
    if len(things) == 1:
        return first
    boxes = [thing["box"] for thing in things]
    outline = [polygon for thing in things for polygon in thing.get("segmentation", ())]
    box = around([(x, y) for x0, y0, x1, y1 in boxes for x, y in ((x0, y0), (x1, y1))])
    return {**first, "box": box, "segmentation": outline}
