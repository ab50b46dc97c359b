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
    height, width = (max(1, math.floor(side * fit + 0.5)) for side in inner)
    down, across = height / inner[0], width / inner[1]
    x0, y0, x1, y1 = around[0] * across, around[1] * down, around[2] * across, around[3] * down
    if how.flip:
        x0, x1 = width - x1, width - x0
    left = _offset(x0, x1, size[1], how.place[0])
    top = _offset(y0, y1, size[0], how.place[1])
    ops: list[Op] = [] if (height, width) == inner else [Resize(height, width)]
    ops += [Flip()] if how.flip else []
    return Geometry((*ops, Crop(top, left, *size)))


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


def _offset(start: float, end: float, length: int, place: float) -> int:
    """Where a crop of `length` px begins, for [start, end] to lie at a share `place` of the room in it; of what has no
    room, the crop shows a part.
    """
    room = length - (end - start)
    return math.floor(start - place * room + 0.5)
