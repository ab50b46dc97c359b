"""Intersection over union of label maps, from confusion counts that add up over images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.bootstrap import ROUNDS, draws

Counts = NDArray[np.int64]
VOID = 255
"""The label of pixels that do not count."""


def confusion(truth: NDArray[np.uint8], said: NDArray[np.uint8], classes: int) -> Counts:
    """(classes, classes) how many pixels of each class (rows) were given each class (columns).

    Args:
        truth: (h, w) numbers of classes, `VOID` where a pixel does not count.
        said: (h, w) numbers of classes.
        classes: how many there are, at most 255.
    """
    counted = truth != VOID
    pairs = truth[counted].astype(np.int64) * classes + said[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(counts: NDArray[np.float64] | Counts) -> NDArray[np.float64]:
    """(..., c) intersection over union of each class of confusion counts (..., c, c), NaN where there is no union.

    A class that no image shows and none is said to show is not judged (Everingham et al., IJCV 2010).
    """
    shared = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - shared
    found: NDArray[np.float64] = np.divide(shared, union, out=np.full(shared.shape, np.nan), where=union > 0)
    return found


def mean_iou(counts: NDArray[np.float64] | Counts) -> NDArray[np.float64]:
    """(...) the mean of `class_iou` over the classes that are judged; counts (..., c, c) of at least one pixel."""
    found: NDArray[np.float64] = np.nanmean(class_iou(counts), axis=-1)
    return found


def pixel_accuracy(counts: Counts) -> NDArray[np.float64]:
    """(...) the share of pixels that were given their class; counts (..., c, c) of at least one pixel."""
    found: NDArray[np.float64] = np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))
    return found


def bootstrap_error(ours: Counts, theirs: Counts, rounds: int = ROUNDS, seed: int = 0) -> float:
    """The standard error, over the choice of test images, of how much larger `ours` has the mean IoU than `theirs`.

    Images are drawn with replacement `rounds` times (Efron, 1979), the same for both; each time the mean difference
    over seeds counts.

    Args:
        ours: (s, n, c, c) confusion counts of s seeds and n images.
        theirs: (s, n, c, c).
        rounds: how often.
        seed: of the draws.
    """
    drawn = draws(ours.shape[1], rounds, seed)
    gains = [_drawn_iou(a, drawn) - _drawn_iou(b, drawn) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean(gains, axis=0).std())


def _drawn_iou(counts: Counts, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r,) mean IoU of images (n, c, c) drawn (r, n) times each."""
    images, classes = counts.shape[:2]
    summed = drawn @ counts.reshape(images, -1).astype(np.float64)
    return mean_iou(summed.reshape(-1, classes, classes))
