"""COCO's average precision of boxes: the matching is pycocotools', the curves are ours, so that images can be drawn."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Found = NDArray[np.float32]
"""(k, 6) boxes of one image: x0, y0, x1, y1 in px, the score, the number of the class."""
Floats = NDArray[np.float64]
THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The intersections over union from which a box is right, t = 10 of them."""
RECALLS = np.linspace(0, 1, 101)
MOST = 100
"""Boxes of an image that count, the ones with the highest scores."""


@dataclass(frozen=True)
class Truth:
    """The n boxes of an image: corners (n, 4) in px, numbers of classes (n,), and which are crowds (n,)."""

    boxes: Floats
    classes: NDArray[np.int64]
    crowds: NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """What d boxes of one class, the highest score first, are in n images.

    `image` (d,) is the place of the image of each, `right` (t, d) whether it is a thing of the class, `counted` (t, d)
    whether it counts at all (what lies in a crowd does not), `things` (n,) how many things each image has.
    """

    image: NDArray[np.int64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    things: Floats


def matches(truth: Sequence[Truth], said: Sequence[Found], classes: int) -> list[Matches]:
    """For each class, which boxes of n images are right: greedily by score, each thing once (Lin et al., ECCV 2014)."""
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        judge = COCOeval(_coco(truth, classes), _coco_of(said, classes), "bbox")
        judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [MOST]
        judge.params.iouThrs = THRESHOLDS
        judge.evaluate()
    count = len(truth)
    return [_joined(judge.evalImgs[number * count : (number + 1) * count]) for number in range(classes)]


def average_precisions(found: Matches, times: Floats | None = None) -> Floats:
    """(r, t) the average precision at each of `THRESHOLDS`, NaN without a thing of the class.

    COCO's: precision made falling, and its mean at 101 recalls.

    Args:
        found: of one class.
        times: (r, n) how often each image is drawn; once if absent.
    """
    times = np.ones((1, len(found.things))) if times is None else times
    things = times @ found.things
    weights = times[:, found.image]
    curves = np.zeros((len(times), len(THRESHOLDS)))
    for place in range(len(THRESHOLDS)):
        right = np.cumsum(weights * (found.right & found.counted)[place], axis=1)
        wrong = np.cumsum(weights * (~found.right & found.counted)[place], axis=1)
        for row in range(len(times)):
            curves[row, place] = _area(right[row], wrong[row], things[row])
    return curves


def _area(right: Floats, wrong: Floats, things: float) -> float:
    """The mean at `RECALLS` of the falling precision, of cumulated counts (d,)."""
    if not things:
        return float("nan")
    precision = np.divide(right, right + wrong, out=np.zeros(len(right)), where=right + wrong > 0)
    falling = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(falling[np.searchsorted(right / things, RECALLS - 1e-12, side="left")].mean())


def _joined(images: Sequence[dict[str, Any] | None]) -> Matches:
    """pycocotools' results of one class, image after image, in the order of scores."""
    there = [(place, one) for place, one in enumerate(images) if one is not None]
    things = np.zeros(len(images))
    for place, one in there:
        things[place] = np.count_nonzero(one["gtIgnore"] == 0)
    scores = np.concatenate([np.zeros(0), *(one["dtScores"] for _, one in there)])
    order = np.argsort(-scores, kind="mergesort")
    image = np.repeat([place for place, _ in there], [len(one["dtScores"]) for _, one in there]).astype(np.int64)
    none = np.zeros((len(THRESHOLDS), 0))
    right = np.concatenate([none, *(one["dtMatches"] for _, one in there)], axis=1) > 0
    counted = np.concatenate([none, *(one["dtIgnore"] for _, one in there)], axis=1) == 0
    return Matches(image[order], right[:, order], counted[:, order], things)


def _coco(truth: Sequence[Truth], classes: int) -> Any:
    boxes = [
        {"image_id": place, "category_id": int(name), "bbox": _sides(box), "iscrowd": int(crowd), "area": _area_of(box)}
        for place, one in enumerate(truth)
        for box, name, crowd in zip(one.boxes, one.classes, one.crowds, strict=True)
    ]
    return _indexed(boxes, len(truth), classes)


def _coco_of(said: Sequence[Found], classes: int) -> Any:
    boxes = [
        {"image_id": place, "category_id": int(row[5]), "bbox": _sides(row[:4]), "score": float(row[4]), "iscrowd": 0,
         "area": _area_of(row[:4])}
        for place, found in enumerate(said)
        for row in found.astype(np.float64)
    ]  # fmt: skip
    return _indexed(boxes, len(said), classes)


def _indexed(boxes: list[dict[str, Any]], images: int, classes: int) -> Any:
    from pycocotools.coco import COCO

    found = COCO()
    found.dataset = {
        "images": [{"id": place} for place in range(images)],
        "categories": [{"id": number} for number in range(classes)],
        "annotations": [{**box, "id": number + 1} for number, box in enumerate(boxes)],
    }
    found.createIndex()
    return found


def _sides(box: Any) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def _area_of(box: Any) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
