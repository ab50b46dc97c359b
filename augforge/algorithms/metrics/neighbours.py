"""What neighbours say of made images: are they like real ones, do they cover them, are they copies?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]
Floats = NDArray[np.float64]
NEAREST = 5
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Manifolds:
    """Precision, recall and coverage in [0, 1], density from 0 (1 where made images lie as real ones do)."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(real: Vectors, made: Vectors, nearest: int = NEAREST) -> Manifolds:
    """How the balls around `real` (n, d) and `made` (m, d) overlap; each reaches to its `nearest`-th other of its set.

    - precision: the share of made ones in a ball of a real one; recall: of real ones in a ball of a made one
      (Kynkäänniemi et al., NeurIPS 2019, arXiv 1904.06991).
    - density: in how many balls of real ones a made one lies, over `nearest`; coverage: the share of real ones with a
      made one in their ball (Naeem et al., ICML 2020, arXiv 2002.09797).

    In sets of fewer than `nearest` + 1 the ball reaches to the farthest. Memory grows with n + m, time with n * m * d.
    """
    real, made = (np.asarray(side, dtype=np.float64) for side in (real, made))
    reach, reached = _radii(real, nearest), _radii(made, nearest)
    inside = np.zeros(len(made))
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _BLOCK):
        part = slice(start, start + _BLOCK)
        apart = _distances(real[part], made)
        near = apart <= reach[part, None]
        inside += near.sum(axis=0)
        covered[part] = near.any(axis=1)
        recalled[part] = (apart <= reached).any(axis=1)
    count = min(nearest, max(1, len(real) - 1))
    density = float(inside.mean() / count)
    return Manifolds(float((inside > 0).mean()), float(recalled.mean()), density, float(covered.mean()))


def nearest_distances(vectors: Vectors, others: Vectors) -> Floats:
    """(n,) the Euclidean distance of each of (n, d) to the nearest of `others` (m, d)."""
    vectors, others = (np.asarray(side, dtype=np.float64) for side in (vectors, others))
    blocks = range(0, len(vectors), _BLOCK)
    found = [_distances(vectors[start : start + _BLOCK], others).min(axis=1) for start in blocks]
    return np.concatenate(found) if found else np.zeros(0)


def _radii(vectors: Vectors, nearest: int) -> Floats:
    """(n,) the distance of each to its `nearest`-th other; 0 for one that is alone."""
    if len(vectors) < 2:
        return np.zeros(len(vectors))
    place = min(nearest, len(vectors) - 1)
    parts = []
    for start in range(0, len(vectors), _BLOCK):
        apart = _distances(vectors[start : start + _BLOCK], vectors)
        rows = np.arange(len(apart))
        apart[rows, start + rows] = 0.0  # itself comes first, whatever rounding says
        parts.append(np.partition(apart, place, axis=1)[:, place])
    return np.concatenate(parts)


def _distances(left: Vectors, right: Vectors) -> Floats:
    """(n, m) Euclidean distances of (n, d) and (m, d)."""
    from scipy.spatial.distance import cdist

    found: Floats = cdist(left, right)
    return found
