"""Copy-paste: instances of one image, with their masks, into another (Ghiasi et al., CVPR 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry import Crop, Flip, Geometry, Op, Resize
from augforge.algorithms.mix.occlusion import rectangle
from augforge.data.annotations import PointMap, move_annotations, segmentation

Size = tuple[int, int]
MARGIN = 2


@dataclass(frozen=True, slots=True)
class Pasted:
    """How the instances of a second image come into a first: all of them scaled, flipped and moved together.

    `scale` makes the second image this many times the size at which it fits the first; `place` are shares (x, y) in
    [0, 1) of the room that they have.
    """

    scale: float = 1.0
    flip: bool = False
    place: tuple[float, float] = (0.5, 0.5)


def silhouette(box: Mapping[str, Any], size: Size, whole_boxes: bool = False) -> NDArray[np.bool_]:
    """(h, w) the pixels of an instance in an image of `size`: of its outline, none without one.

    With `whole_boxes` the rectangle stands for an outline that is not there.
    """
    if "segmentation" in box:
        return segmentation.decoded(box["segmentation"], size).astype(bool)
    inside = np.zeros(size, dtype=bool)
    if whole_boxes:
        inside[rectangle(box["box"], size)] = True
    return inside


def paste_geometry(how: Pasted, inner: Size, size: Size, around: Sequence[float]) -> Geometry:
    """How an image of the size `inner` is moved, so that what lies in the box `around` of it falls into `size`.

    Args:
        how: scale, flip and place.
        inner: height and width of the second image.
        size: those of the first, which are those of the result.
        around: [x0, y0, x1, y1] of what is pasted, in px of the second image. Where there is more of it than room, it
            is cut at the border.
    """
    fit = min(size[0] / inner[0], size[1] / inner[1]) * how.scale
    left, right = _with_margin(around[0], around[2], inner[1])
    top, bottom = _with_margin(around[1], around[3], inner[0])
    part = bottom - top, right - left
    scaled = _scaled(part[0], fit), _scaled(part[1], fit)
    ops: list[Op] = [Crop(top, left, *part)]
    ops += [] if scaled == part else [Resize(*scaled)]
    ops += [Flip()] if how.flip else []
    before = right - around[2] if how.flip else around[0] - left
    across = _offset((around[2] - around[0]) * fit, size[1], how.place[0]) - round(before * fit)
    down = _offset((around[3] - around[1]) * fit, size[0], how.place[1]) - round((around[1] - top) * fit)
    return Geometry((*ops, Crop(-down, -across, *size)))


def _with_margin(start: float, end: float, length: int) -> tuple[int, int]:
    """[start, end] in whole px and a little more, for what is interpolated at the edge, within `length` px."""
    first = min(max(0, math.floor(start) - MARGIN), length - 1)
    return first, max(first + 1, min(length, math.ceil(end) + MARGIN))


def _scaled(side: int, fit: float) -> int:
    return max(1, math.floor(side * fit + 0.5))


Least = tuple[float, bool]
"""The share of a thing that has to be seen for it to be kept, in [0, 1]; and whether of a box without an outline the
whole rectangle is pasted.
"""


def moved_instances(
    annotations: Mapping[str, Any], chosen: Sequence[int], point_map: PointMap, least: Least
) -> dict[str, Any]:
    """The boxes at the places `chosen`, with their keypoints (by their ids), after the image was moved.

    Those of which too small a share lies inside are not there, and those without a pixel.
    """
    boxes = [annotations["boxes"][place] for place in chosen]
    moved = move_annotations({"boxes": boxes}, point_map, least[0])
    moved["boxes"] = [box for box in moved["boxes"] if silhouette(box, point_map.after, least[1]).any()]
    ids = {box["id"] for box in moved["boxes"] if "id" in box}
    if "keypoints" not in annotations:
        return moved
    points = [one for one in annotations["keypoints"] if one.get("id") in ids]
    return {**moved, **move_annotations({"keypoints": points}, point_map, least[0])}


def silhouettes(boxes: Sequence[Mapping[str, Any]], size: Size, whole_boxes: bool = False) -> NDArray[np.bool_]:
    """(h, w) the pixels of any of some instances."""
    inside = np.zeros(size, dtype=bool)
    for box in boxes:
        inside |= silhouette(box, size, whole_boxes)
    return inside


def _offset(inner: float, length: int, place: float) -> int:
    """Where in `length` px something of `inner` px begins, at a share `place` of the room; before 0 if it is longer."""
    return math.floor(place * (length - inner) + 0.5)
