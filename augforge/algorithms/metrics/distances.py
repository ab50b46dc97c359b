"""How far apart two sets of embeddings are: the Fréchet distance of FID, the kernel distance of KID.

On embeddings of unit length the numbers are far smaller than those published for Inception's features, and only
comparable among themselves. With fewer images than dimensions the Fréchet distance is too large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]


def frechet_distance(left: Vectors, right: Vectors) -> float:
    """The squared Fréchet distance of normal distributions fitted to (n, d) and (m, d), n and m >= 2.

    |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances (with n - 1). Heusel et al., NeurIPS 2017,
    arXiv 1706.08500.
    """
    left, right = (np.asarray(side, dtype=np.float64) for side in (left, right))
    a, b = np.atleast_2d(np.cov(left, rowvar=False)), np.atleast_2d(np.cov(right, rowvar=False))
    root = _root(a)
    cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()  # the trace of (A B)^(1/2), symmetric throughout
    apart = left.mean(axis=0) - right.mean(axis=0)
    return float(max(0.0, apart @ apart + np.trace(a) + np.trace(b) - 2 * cross))


def kernel_distance(left: Vectors, right: Vectors) -> float:
    """The squared maximum mean discrepancy of (n, d) and (m, d), n and m >= 2, with the kernel (x.y / d + 1)^3.

    The unbiased estimate over all pairs, so that it may be below 0. Bińkowski et al., ICLR 2018, arXiv 1801.01401,
    who average over subsets of 1,000.
    """
    left, right = (np.asarray(side, dtype=np.float64) for side in (left, right))
    within = [_kernel(side, side) for side in (left, right)]
    means = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in within]
    return float(sum(means) - 2 * _kernel(left, right).mean())


def _kernel(left: Vectors, right: Vectors) -> NDArray[np.float64]:
    return np.asarray((left @ right.T / left.shape[1] + 1) ** 3, dtype=np.float64)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root of a symmetric positive semi-definite (d, d)."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)
