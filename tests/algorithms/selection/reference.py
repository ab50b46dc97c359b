"""Slow references, straight from the definitions, and data to compare on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.points import Similarity

Matrix = NDArray[np.float64]


def cloud(seed: int, n: int, d: int = 8) -> NDArray[np.float32]:
    """(n, d) points without structure."""
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def clusters(sizes: list[int], d: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """(sum of sizes, d) exact copies of orthogonal directions, shuffled."""
    rows = np.repeat(np.eye(len(sizes), d, dtype=np.float32), sizes, axis=0)
    return np.random.default_rng(seed).permutation(rows)


def similarity_matrix(features: NDArray[np.float32], similarity: Similarity) -> Matrix:
    """(n, n) in float64, from the definition in `facility_location`."""
    x = features.astype(np.float64)
    if similarity == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.maximum(x @ x.T, 0)
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    if similarity == "exponential":
        return np.exp(-distances / x.shape[1])
    matrix: Matrix = 1 - distances / (2 * np.linalg.norm(x - x.mean(axis=0), axis=1).max())
    return matrix


def value(matrix: Matrix, chosen: NDArray[np.int64] | tuple[int, ...]) -> float:
    """f(A) = sum_i max_{j in A} S_ij."""
    return float(matrix[:, list(chosen)].max(axis=1).sum()) if len(chosen) else 0.0


def optimum(matrix: Matrix, budget: int) -> float:
    """The largest f(A) over all A of that size."""
    return max(value(matrix, chosen) for chosen in combinations(range(len(matrix)), budget))


def greedy(matrix: Matrix, budget: int) -> list[int]:
    """The definition: add the best, the first of equals.

    Equals are common: two points that would represent each other and nobody else have the same gain. In floats
    they differ by noise, which rounding removes.
    """
    chosen: list[int] = []
    for _ in range(budget):
        rest = [j for j in range(len(matrix)) if j not in chosen]
        chosen.append(max(rest, key=lambda j: round(value(matrix, (*chosen, j)), 9)))
    return chosen
