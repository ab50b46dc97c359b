"""The outline of one instance, as COCO has it: polygons [[x, y, x, y, ...], ...] or run lengths {size, counts}.

Run lengths are compressed (a text), of the columns of the image one after the other; `size` is height and width.
Encoded and decoded by pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augforge.data.annotations.base import PointMap, Size, number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Polygon = Sequence[float]
STEP = 2.0
"""Px between the points that an edge of a polygon gets before it is bent."""


def checked(value: Any, size: Size) -> tuple[Any, str]:
    """Polygons of at least three points, or compressed run lengths of the image's size; and what is wrong."""
    if isinstance(value, dict):
        return _checked_rle(value, size)
    if not isinstance(value, (list, tuple)) or not value:
        return None, "" if value in (None, [], ()) else "its segmentation is neither polygons nor run lengths"
    good = [list(polygon) for polygon in value if _is_polygon(polygon)]
    wrong = "" if len(good) == len(value) else "a polygon of it is not a list of three or more points"
    return good or None, wrong


def decoded(value: Any, size: Size) -> NDArray[np.uint8]:
    """(h, w) 1 inside of a segmentation on an image of `size`, 0 outside."""
    from pycocotools import mask

    inside: NDArray[np.uint8] = mask.decode(_rle(value, size))
    return inside


def area(value: Any, size: Size) -> float:
    """How many px lie inside of a segmentation on an image of `size`."""
    from pycocotools import mask

    return float(mask.area(_rle(value, size)))


def _rle(value: Any, size: Size) -> Any:
    """The run lengths of a segmentation as pycocotools has them."""
    from pycocotools import mask

    if isinstance(value, dict):
        return {"size": value["size"], "counts": value["counts"].encode()}
    return mask.merge(mask.frPyObjects([list(polygon) for polygon in value], *size))


def encoded(inside: NDArray[np.uint8]) -> dict[str, Any]:
    """The compressed run lengths of a mask (h, w)."""
    import numpy as np
    from pycocotools import mask

    rle = mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}


def compressed(counts: Sequence[int], size: Sequence[int]) -> dict[str, Any]:
    """Run lengths [background, object, background, ...] as a compressed text; ValueError if they are not of `size`."""
    from pycocotools import mask

    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"the run lengths sum to {sum(counts)}, not {size[0]} x {size[1]}")
    rle = mask.frPyObjects({"size": list(size), "counts": list(counts)}, *size)
    return {"size": [int(side) for side in size], "counts": rle["counts"].decode()}


def moved(value: Any, point_map: PointMap) -> Any:
    """A segmentation after the image was moved; None if nothing of it lies inside.

    Polygons stay polygons, cut at the image's border, their edges bent where the move bends them; where it cuts the
    image into pieces they become run lengths.
    """
    if isinstance(value, dict) or point_map.lines == "cut":
        inside = point_map.label_map(decoded(value, point_map.before))
        return encoded(inside) if inside.any() else None
    polygons = (_moved_polygon(polygon, point_map) for polygon in value)
    return [polygon for polygon in polygons if polygon] or None


def _moved_polygon(polygon: Polygon, point_map: PointMap) -> list[float]:
    import numpy as np

    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    found = point_map.points(points if point_map.lines == "straight" else _densified(points))
    return [float(value) for value in clipped(found, point_map.after).ravel()]


def _densified(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points of a polygon (n, 2) with more of them along its edges."""
    import numpy as np

    pieces = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        count = max(1, int(np.ceil(np.abs(end - start).max() / STEP)))
        pieces.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate(pieces)


def clipped(points: NDArray[np.float64], size: Size) -> NDArray[np.float64]:
    """The part of a polygon (n, 2) inside an image (m, 2), m = 0 if there is none (Sutherland and Hodgman, 1974)."""
    import numpy as np

    height, width = size
    for axis, bound, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        if len(points) == 0:
            break
        depth = sign * (points[:, axis] - bound)
        kept: list[NDArray[np.float64]] = []
        for here in range(len(points)):
            before = here - 1
            if (depth[here] >= 0) != (depth[before] >= 0):
                share = depth[before] / (depth[before] - depth[here])
                crossing = points[before] + share * (points[here] - points[before])
                crossing[axis] = bound
                kept.append(crossing)
            if depth[here] >= 0:
                kept.append(points[here])
        points = np.array(kept).reshape(-1, 2)
    return points if len(points) >= 3 else points[:0]


def _is_polygon(polygon: Any) -> bool:
    if not isinstance(polygon, (list, tuple)) or len(polygon) < 6 or len(polygon) % 2:
        return False
    return all(number(value) is not None for value in polygon)


def _checked_rle(value: dict[str, Any], size: Size) -> tuple[Any, str]:
    shape, counts = value.get("size"), value.get("counts")
    if not isinstance(shape, (list, tuple)) or list(shape) != list(size):
        return None, f"its run lengths are of {shape}, the image of {list(size)} (height, width)"
    try:
        rle = (
            {"size": list(size), "counts": counts} if isinstance(counts, str) else compressed(list(counts or ()), size)
        )
        decoded(rle, size)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        return None, f"its run lengths cannot be decoded: {error}"
    return rle, ""
