"""Where regions of Label Studio lie in px, and what they are: boxes with outlines, and points.

A region that is where augforge has put it has the place, in px, from which that was reckoned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import segmentation
from augforge.data.annotations.base import number
from augforge.data.images import MAX_PIXELS
from augforge.io.label_studio_regions import Size, brush_mask
from augforge.io.label_studio_results import Drawn
from augforge.io.shapes import around, ellipse, flat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAME = 1e-7
"""Percent by which two places differ that are one."""
NUMBERS = ("x", "y", "width", "height", "rotation")


def is_moved(region: Drawn, before: Drawn | None) -> bool:
    """Whether a region is elsewhere than it was `before`, or was not there."""
    if before is None or region.value.keys() != before.value.keys() or region.size != before.size:
        return True
    if "points" in region.value:
        return not _alike(region.value["points"], before.value["points"])
    names = [name for name in NUMBERS if name in before.value]
    return not _alike([region.value[name] for name in names], [before.value[name] for name in names])


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    first, second = number(one), number(other)
    return first is not None and second is not None and abs(first - second) <= SAME


def place_of(region: Drawn) -> dict[str, Any]:
    """The box of a region in px, and its outline if it is more than a box.

    Raises:
        ValueError: it has none; the message says why.
    """
    if region.size is None:
        raise ValueError("its original_width and original_height are missing")
    if "rle" in region.value:
        return _around_mask(mask_of(region))
    if "points" in region.value:
        points = points_of(region)
        return {"box": around(points), "segmentation": [flat(points)]}
    if "radiusX" in region.value:
        return _ellipse(region, region.size)
    return _rectangle(region, region.size)


def points_of(region: Drawn) -> list[tuple[float, float]]:
    """The points of a polygon in px; ValueError as `place_of`."""
    listed = region.value["points"]
    if region.size is None or not isinstance(listed, list) or not listed:
        raise ValueError("it has no points")
    return [_in_px(pair, region.size) for pair in listed]


def point_of(region: Drawn) -> tuple[float, float]:
    """The place of a keypoint in px; ValueError as `place_of`."""
    if region.size is None:
        raise ValueError("its original_width and original_height are missing")
    return _in_px([region.value["x"], region.value["y"]], region.size)


def mask_of(region: Drawn) -> NDArray[np.uint8]:
    """(h, w) where a brush has drawn; ValueError as `place_of`."""
    if region.size is None or region.size[0] * region.size[1] > MAX_PIXELS:
        raise ValueError("it is drawn on an image of no known size, or of too large a one")
    return brush_mask(region.value["rle"], region.size)


def _in_px(pair: Any, size: Size) -> tuple[float, float]:
    values = [number(value) for value in pair] if isinstance(pair, (list, tuple)) else []
    if len(values) != 2 or None in values:
        raise ValueError("its points are no pairs of numbers")
    height, width = size
    return values[0] * width / 100, values[1] * height / 100  # type: ignore[operator]  # no None is among them


def _numbers(region: Drawn, *names: str) -> list[float]:
    values = [number(region.value.get(name, 0 if name == "rotation" else None)) for name in names]
    if None in values:
        raise ValueError(f"{' or '.join(names)} is no number")
    return values  # type: ignore[return-value]  # as above


def _rectangle(region: Drawn, size: Size) -> dict[str, Any]:
    """A rectangle, which is turned clockwise around its upper left corner."""
    x, y, width, height, degrees = _numbers(region, *NUMBERS)
    (x0, y0), (x1, y1) = _in_px([x, y], size), _in_px([x + width, y + height], size)
    if not degrees:
        return {"box": [x0, y0, x1, y1]}
    points = [_turned(point, (x0, y0), degrees) for point in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    return {"box": around(points), "segmentation": [flat(points)]}


def _ellipse(region: Drawn, size: Size) -> dict[str, Any]:
    """An ellipse, which is turned clockwise around its centre."""
    x, y, across, down, degrees = _numbers(region, "x", "y", "radiusX", "radiusY", "rotation")
    centre, radii = _in_px([x, y], size), _in_px([across, down], size)
    drawn = ellipse(*centre, *radii)
    if not degrees:
        return drawn
    (outline,) = drawn["segmentation"]
    points = [_turned(point, centre, degrees) for point in zip(outline[::2], outline[1::2], strict=True)]
    return {"box": around(points), "segmentation": [flat(points)]}


def _turned(point: Sequence[float], centre: Sequence[float], degrees: float) -> tuple[float, float]:
    turn = math.radians(degrees)
    x, y = point[0] - centre[0], point[1] - centre[1]
    return centre[0] + x * math.cos(turn) - y * math.sin(turn), centre[1] + x * math.sin(turn) + y * math.cos(turn)


def _around_mask(inside: NDArray[np.uint8]) -> dict[str, Any]:
    import numpy as np

    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(down):
        raise ValueError("nothing is drawn")
    box = [float(side) for side in (across[0], down[0], across[-1] + 1, down[-1] + 1)]
    return {"box": box, "segmentation": segmentation.encoded(inside)}


def outline_of(regions: Sequence[Drawn], before: Mapping[str, Drawn], known: Mapping[str, Any]) -> Any:
    """The outline that several regions draw together: polygons, or run lengths if one of them is of a brush.

    `before` and `known` are regions as they were, and their outlines in px, by id. ValueError as `place_of`.
    """
    if not any("rle" in region.value for region in regions):
        return [_polygon(region, before.get(region.id), known) for region in regions] or None
    together = _drawn_together(regions)
    for region in regions:
        outline = known.get(region.id)
        if isinstance(outline, dict) and (segmentation.decoded(outline, together.shape) == together).all():
            return outline
    return segmentation.encoded(together)


def _polygon(region: Drawn, was: Drawn | None, known: Mapping[str, Any]) -> Sequence[float]:
    polygon: Sequence[float] = flat(points_of(region)) if is_moved(region, was) else known[region.id]
    return polygon


def _drawn_together(regions: Sequence[Drawn]) -> NDArray[np.uint8]:
    import numpy as np

    masks = [mask_of(region) for region in regions if "rle" in region.value]
    masks += [
        segmentation.decoded([flat(points_of(region))], masks[0].shape)
        for region in regions
        if "points" in region.value
    ]
    if len({mask.shape for mask in masks}) > 1:
        raise ValueError("its parts are drawn on images of several sizes")
    together: NDArray[np.uint8] = np.any(masks, axis=0).astype(np.uint8)
    return together
