"""Cuts of a score, judged by images of which people said whether they are good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.proportions import Ends, clopper_pearson


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of `good` good and other images: `kept` of all, of which `right` are good.

    Precision is the share of what is kept that is good, recall the share of what is good that is kept, each in [0, 1];
    NaN where there is nothing to take a share of. `f1` is their harmonic mean, 0 where nothing good is kept.
    """

    kept: int
    right: int
    good: int

    @property
    def precision(self) -> float:
        """`right` of `kept`."""
        return self.right / self.kept if self.kept else float("nan")

    @property
    def recall(self) -> float:
        """`right` of `good`."""
        return self.right / self.good if self.good else float("nan")

    @property
    def f1(self) -> float:
        """2 * right / (kept + good)."""
        return 2 * self.right / (self.kept + self.good) if self.right else 0.0

    @property
    def precision_interval(self) -> Ends:
        """The 95 % interval of Clopper and Pearson."""
        return clopper_pearson(self.right, self.kept)

    @property
    def recall_interval(self) -> Ends:
        """Likewise."""
        return clopper_pearson(self.right, self.good)


@dataclass(frozen=True, slots=True)
class Cut(Kept):
    """What the cut `at` keeps: scores of at least that, or at most where less is better."""

    at: float


def curve(scores: NDArray[np.float64], good: NDArray[np.bool_], lower_is_better: bool = False) -> list[Cut]:
    """Every different cut of n scores, that which keeps least first; the last one keeps all.

    Args:
        scores: (n,) finite.
        good: (n,) which images are good.
        lower_is_better: whether less is better.

    Returns:
        One cut for each different score. Each lies halfway between the worst score that it keeps and the best one that
        it does not, as short a number as that leaves room for; the last one is the worst score.
    """
    sign = -1.0 if lower_is_better else 1.0
    order = np.argsort(-sign * scores, kind="stable")
    ordered, right = scores[order], np.cumsum(good[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))[: len(scores)]
    found = []
    for place in last.tolist():
        worst = float(ordered[place])
        at = between(worst, float(ordered[place + 1])) if place + 1 < len(ordered) else worst
        found.append(Cut(place + 1, int(right[place]), int(good.sum()), at))
    return found


def best(cuts: list[Cut], precision: float | None = None) -> Cut | None:
    """The cut of the largest F1; or, of those with at least that precision, the one of the largest recall.

    Of equal ones the one that keeps more. None where there is no such cut.
    """
    if precision is None:
        return max(reversed(cuts), key=lambda cut: cut.f1, default=None)
    precise = [cut for cut in cuts if cut.kept and cut.precision >= precision]
    return max(reversed(precise), key=lambda cut: cut.right, default=None)


def between(kept: float, gone: float) -> float:
    """The shortest number in the middle half of what lies between two scores; `kept` where there is no number."""
    middle, quarter = kept + (gone - kept) / 2, abs(gone - kept) / 4
    for digits in range(1, 18):
        short = float(f"{middle:.{digits}g}")
        if min(kept, gone) < short < max(kept, gone) and abs(short - middle) <= quarter:
            return short
    return kept
