"""Means over seeds, their 95 % intervals, and what a difference between two arms says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["better", "worse", "within noise"]
Values = Sequence[float] | NDArray[np.float64]
LEVEL = 0.95
NORMAL = 1.959964
"""Standard deviations of a normal distribution to either side that hold 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of s values and the ends of its interval, None where a single value says nothing of the spread."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """As it stands in evaluation.json."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "seeds": list(self.values)}


def interval(values: Values) -> Interval:
    """The mean of s >= 1 values with Student's 95 % interval: mean +- t(0.975, s - 1) * std / sqrt(s), std with s - 1.

    Student, 1908, *The probable error of a mean*. It says how much another training of the same images would differ,
    not how much other images would.
    """
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, None, None, tuple(array.tolist()))
    half = float(t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(mean, mean - half, mean + half, tuple(array.tolist()))


def paired(values: Values, base: Values) -> Interval:
    """The interval of the s differences `values` - `base`, seed by seed.

    Both arms begin from the same numbers in each seed, so what they share falls out of the difference.
    """
    return interval([value - other for value, other in zip(values, base, strict=True)])


def widened(difference: Interval, gains: NDArray[np.float64]) -> Interval:
    """The interval of a difference that holds for other trainings and for other test images: the wider of the two.

    Args:
        difference: of the accuracies, over seeds.
        gains: (n,) by how much each test image is right more often, in [-1, 1]; mean `difference.mean`.

    Over test images the interval is the normal one of their mean, mean +- 1.96 * std / sqrt(n): a few test images by
    luck, or trainings that all end alike, are no evidence. With a single seed there is no interval.
    """
    return widened_to(difference, float(gains.std() / np.sqrt(max(1, len(gains)))))


def widened_to(difference: Interval, error: float) -> Interval:
    """As `widened`, by the standard error of the difference over test images, however it was found."""
    if difference.low is None or difference.high is None:
        return difference
    half = max(difference.high - difference.mean, NORMAL * error)
    return Interval(difference.mean, difference.mean - half, difference.mean + half, difference.values)


def verdict(difference: Interval) -> Verdict:
    """Whether an arm is better or worse: no one can tell where the interval holds 0, or where there is none."""
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return "within noise"
    return "better" if difference.mean > 0 else "worse"
