"""What is drawn over a picture in the report: boxes, outlines and keypoints, as lines and areas in px of the image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from augforge.data.annotations import parse_annotations, segmentation
from augforge.report.drawing import COLOURS, colour_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 200
"""Things of one picture that are drawn, the first ones; the words beside it count all."""
FINEST = 96
"""Rows and columns, at most, of an outline that is given as run lengths."""
POINTS = 400
"""Points, at most, of one polygon."""


def shapes(annotations: str, size: tuple[int, int]) -> str:
    """What to draw over an image of `size` (height, width), as JSON; "" if it is nothing.

    A list of `{"c": colour}` with `"b": [x0, y0, x1, y1]` and `"t"`, what stands at it; or with `"d"`, an area as the
    data of an SVG path; or with `"p": [x, y, filled]`, a point.
    """
    said = parse_annotations(annotations)
    boxes, points = said.get("boxes", ())[:MOST], said.get("keypoints", ())[:MOST]
    areas = [{"c": _hex(box), "d": _path(box["segmentation"], size)} for box in boxes if "segmentation" in box]
    frames = [{"c": _hex(box), "b": _rounded(box["box"]), "t": _words(box)} for box in boxes]
    dots = [dot for one in points for dot in _dots(one["points"])]
    found = [*areas, *frames, *dots]
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False) if found else ""


def _words(box: Mapping[str, Any]) -> str:
    return (box.get("label") or "") + (" (crowd)" if box.get("iscrowd") else "")


def _hex(box: Mapping[str, Any]) -> str:
    return _colour(colour_of(box.get("label")))


def _colour(rgb: Sequence[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgb)


def _dots(points: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """The labelled points of an instance; those that are hidden are not filled."""
    colours = [_colour(COLOURS[place % len(COLOURS)]) for place in range(len(points))]
    told = zip(points, colours, strict=True)
    return [{"c": colour, "p": [*_rounded([x, y]), int(seen == 2)]} for (x, y, seen), colour in told if seen]


def _path(outline: Any, size: tuple[int, int]) -> str:
    """An outline as the data of a path: its polygons, or of run lengths a bar for every run."""
    if not isinstance(outline, dict):
        return "".join(_polygon(polygon) for polygon in outline)
    return _bars(segmentation.decoded(outline, size), size)


def _polygon(flat: Sequence[float]) -> str:
    points = np.asarray(flat, dtype=np.float64).reshape(-1, 2)
    points = points[:: -(-len(points) // POINTS)]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points.round(1)) + "Z"


def _bars(inside: NDArray[np.uint8], size: tuple[int, int]) -> str:
    height, width = size
    rows, columns = min(height, FINEST), min(width, FINEST)
    small = np.asarray(Image.fromarray(inside).resize((columns, rows), Image.Resampling.NEAREST)) > 0
    across, down = width / columns, height / rows
    return "".join(
        f"M{start * across:.4g} {row * down:.4g}h{(end - start) * across:.4g}v{down:.4g}h{(start - end) * across:.4g}z"
        for row, line in enumerate(small)
        for start, end in _runs(line)
    )


def _runs(line: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 1) for value in values]
