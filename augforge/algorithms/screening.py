"""Screening: the threshold of a classifier that finds at least a chosen share of the positives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What passes at `threshold` (scores of at least that), measured on held-out images.

    `recall` is the share of the `positives` that pass, `specificity` that of the `negatives` that do not, NaN without
    any. `least_recall` is what the recall on new positives is at least, with a probability of 95 %: the threshold is
    an order statistic, so that this holds whatever the distribution of the scores (Wilks, 1941).
    """

    threshold: float
    recall: float
    specificity: float
    least_recall: float
    positives: int
    negatives: int


def threshold_for(positives: ArrayLike, recall: float) -> float:
    """The largest threshold at which at least `recall` of the scores (n,), n >= 1, pass: an order statistic of them.

    Raises:
        ValueError: there is no score, one is not a number, or the recall is not in (0, 1].
    """
    scores = np.sort(np.asarray(positives, dtype=np.float64))
    if not len(scores) or not np.isfinite(scores).all() or not 0 < recall <= 1:
        raise ValueError("a threshold needs scores that are numbers, and a recall in (0, 1]")
    return float(scores[len(scores) - _passing(len(scores), recall)])


def operating_point(positives: ArrayLike, negatives: ArrayLike, recall: float) -> OperatingPoint:
    """The threshold for a recall, and what it comes to on the scores (n,) of positives and (m,) of negatives."""
    from scipy.stats import beta

    yes, no = np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64)
    threshold = threshold_for(yes, recall)
    passing = _passing(len(yes), recall)
    return OperatingPoint(
        threshold=threshold,
        recall=float((yes >= threshold).mean()),
        specificity=float((no < threshold).mean()) if len(no) else math.nan,
        least_recall=float(beta.ppf(1 - CONFIDENCE, passing, len(yes) - passing + 1)),
        positives=len(yes),
        negatives=len(no),
    )


def _passing(count: int, recall: float) -> int:
    """How many of `count` must pass; rounding must not ask for one more than 0.95 of 20."""
    return max(1, math.ceil(recall * count - 1e-9))
