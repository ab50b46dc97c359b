"""How good a ranking is: average precision, and how often something right stands among the first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]


def average_precision(scores: Scores, relevant: NDArray[np.bool_]) -> float:
    """The mean, over the relevant ones of n things, of the precision at their rank; NaN if none is relevant.

    The standard definition without interpolation (Manning et al., *Introduction to Information Retrieval*, 2008,
    8.4). Equal scores share a rank, the last of theirs: what cannot tell things apart is worth the share that is
    relevant, in whatever order they were given.

    Args:
        scores: (n,) larger ones stand first.
        relevant: (n,).
    """
    return float(average_precisions(scores, relevant, np.ones((1, len(scores))))[0])


def average_precisions(scores: Scores, relevant: NDArray[np.bool_], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r,) `average_precision` of n things that are there `times` (r, n); NaN if none of them is relevant."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    there = np.cumsum(times[:, order], axis=1)[:, ends]
    right = np.cumsum(times[:, order] * relevant[order], axis=1)[:, ends]
    gained = np.diff(right, axis=1, prepend=0)
    precision = np.divide(right, there, out=np.zeros_like(right), where=there > 0)
    found = right[:, -1]
    none = np.full(len(times), np.nan)
    mean: NDArray[np.float64] = np.divide((gained * precision).sum(axis=1), found, out=none, where=found > 0)
    return mean


def first_right(scores: Scores, relevant: NDArray[np.bool_]) -> int:
    """The rank, from 1, of the best relevant one of n things; n + 1 if none is. Of equal scores it stands last.

    Args:
        scores: (n,) larger ones stand first.
        relevant: (n,).
    """
    if not relevant.any():
        return len(scores) + 1
    best = scores[relevant].max()
    return int((scores > best).sum() + ((scores == best) & ~relevant).sum()) + 1
