"""Temperature scaling: one number by which logits are divided, so that probabilities are as often right as they say.

*On Calibration of Modern Neural Networks* (Guo et al., ICML 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature: of images that are all told apart, or none, the best one is 0 or infinite."""
STEPS = 60


def temperature_of(logits: Logits, truth: NDArray[np.int64]) -> float:
    """The temperature at which the cross-entropy of logits (m, c) / T and the true columns (m,) is least.

    The cross-entropy is convex in 1 / T, whose derivative is the mean of the expected logit minus the true one; its
    root is found by bisection, within `COLDEST` and `HOTTEST`.

    Raises:
        ValueError: there are no logits.
    """
    if not len(logits):
        raise ValueError("a temperature needs images")
    values = logits.astype(np.float64)
    true = values[np.arange(len(values)), truth]
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        expected = (probabilities(values, 1 / middle) * values).sum(axis=1)
        low, high = (low, middle) if (expected - true).mean() > 0 else (middle, high)
    return 2 / (low + high)


def probabilities(logits: Logits, temperature: float = 1.0) -> Scores:
    """(n, c) the softmax of logits (n, c) / temperature."""
    scaled = logits.astype(np.float64) / temperature
    terms = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Scores = terms / terms.sum(axis=1, keepdims=True)
    return shares


def within_families(values: Scores, families: NDArray[np.int64]) -> Scores:
    """(n,) non-negative values scaled so that those of one family (n,) sum to its size.

    Equal ones where all of a family are 0; NaN stays, and does not count for its family.
    """
    weights = np.full(len(values), np.nan)
    known = np.isfinite(values)
    for family in np.unique(families[known]):
        rows = np.flatnonzero(known & (families == family))
        total = values[rows].sum()
        weights[rows] = values[rows] * (len(rows) / total) if total > 0 else 1.0
    return weights
