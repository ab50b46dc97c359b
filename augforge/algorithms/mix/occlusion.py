"""Annotations of an image of which a part is covered, and of two images in one.

What is covered is cut from outlines and boxes, and what is left of too small a share is dropped. A keypoint that is
covered is labelled but hidden (COCO's visibility 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.mix.names import PLACED, apart, ids_of
from augforge.data.annotations import segmentation

Hidden = NDArray[np.bool_]
"""(h, w) which pixels of an image are covered."""
Thing = dict[str, Any]


def covered(annotations: Mapping[str, Any], hidden: Hidden, min_visible: float) -> dict[str, Any]:
    """The boxes and keypoints of an image after the pixels `hidden` (h, w) were painted over; all else unchanged.

    Args:
        annotations: of the image, checked.
        hidden: which of its pixels are covered.
        min_visible: a thing is dropped if less than this share of it can still be seen, in [0, 1], and always if
            nothing of it can.
    """
    found, gone = dict(annotations), set[str]()
    if "boxes" in found:
        boxes = [(box, covered_box(box, hidden, min_visible)) for box in found["boxes"]]
        found["boxes"] = [left for _, left in boxes if left is not None]
        gone = {box["id"] for box, left in boxes if left is None and "id" in box}
    if "keypoints" in found:
        found["keypoints"] = _hidden_points(found["keypoints"], gone, hidden, min_visible)
    return found


def covered_box(box: Thing, hidden: Hidden, min_visible: float) -> Thing | None:
    """A box, with its outline if it has one, after a part was covered; None if too small a share is left.

    One that is not touched stays as it is. Of one with an outline the visible pixels make the new outline, as run
    lengths, and the box around them; of one without, a side moves in where all of it is covered.
    """
    outline = segmentation.decoded(box["segmentation"], hidden.shape).astype(bool) if "segmentation" in box else None
    if outline is None or not outline.any():
        return _cut_rectangle(box, hidden, min_visible)
    left = outline & ~hidden
    if not _enough(left, outline, min_visible):
        return None
    if np.array_equal(left, outline):
        return box
    return {**box, "box": around(left), "segmentation": segmentation.encoded(left.astype(np.uint8))}


def around(inside: Hidden) -> list[float]:
    """The box [x0, y0, x1, y1] around the pixels of a mask (h, w), which are some."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]


def rectangle(box: Sequence[float], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the pixels of an image of `size` whose centres lie in a box, at least one of each."""
    spans = []
    for start, end, length in ((box[1], box[3], size[0]), (box[0], box[2], size[1])):
        first = min(max(0, int(np.ceil(start - 0.5))), length - 1)
        spans.append(slice(first, max(first + 1, min(length, int(np.ceil(end - 0.5))))))
    return spans[0], spans[1]


def both(first: Mapping[str, Any], second: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What lies in either of two images that are one now: the kinds of which both know; [] is known, too.

    Things of the second get the ids that `names` has for theirs; if absent, those that the first has, too, get others.
    """
    given = apart(ids_of(first), ids_of(second)) if names is None else names
    return {
        kind: [*first[kind], *(_renamed(one, given) for one in second[kind])]
        for kind in PLACED
        if kind in first and kind in second
    }


def _cut_rectangle(box: Thing, hidden: Hidden, min_visible: float) -> Thing | None:
    rows, columns = rectangle(box["box"], hidden.shape)
    seen = ~hidden[rows, columns]
    if not _enough(seen, np.ones_like(seen), min_visible):
        return None
    inner = around(seen)
    kept = list(box["box"])
    edges = (columns.start + inner[0], rows.start + inner[1], columns.start + inner[2], rows.start + inner[3])
    whole = (0.0, 0.0, float(seen.shape[1]), float(seen.shape[0]))
    for side in range(4):
        if inner[side] != whole[side]:
            kept[side] = float(edges[side])
    return box if kept == list(box["box"]) else {**box, "box": kept}


def _enough(left: Hidden, whole: Hidden, min_visible: float) -> bool:
    seen = int(left.sum())
    return seen > 0 and seen >= min_visible * int(whole.sum())


def _points(one: Thing, hidden: Hidden, min_visible: float) -> Thing | None:
    """Keypoints of an instance; None if too few of those that could be seen still can."""
    points = [_point(point, hidden) for point in one["points"]]
    before, after = (sum(v == 2 for *_, v in each) for each in (one["points"], points))
    if before and (after == 0 or after < min_visible * before):
        return None
    return {**one, "points": points}


def _point(point: Sequence[float], hidden: Hidden) -> list[float]:
    x, y, v = point
    height, width = hidden.shape
    if v == 2 and hidden[min(int(y), height - 1), min(int(x), width - 1)]:
        return [x, y, 1.0]
    return list(point)


def _hidden_points(things: Sequence[Thing], gone: set[str], hidden: Hidden, min_visible: float) -> list[Thing]:
    """The keypoints of instances, less those of the boxes that are `gone`."""
    points = [_points(one, hidden, min_visible) for one in things if one.get("id") not in gone]
    return [one for one in points if one is not None]


def _renamed(thing: Thing, names: Mapping[str, str]) -> Thing:
    return {**thing, "id": names[thing["id"]]} if thing.get("id") in names else thing
