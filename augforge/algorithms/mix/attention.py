"""The label of TransMix (Chen et al., CVPR 2022): a part counts as much as a vision transformer looks at it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grid = tuple[int, int]
"""Rows and columns of patches."""


def box_coverage(box: tuple[float, float, float, float], size: tuple[float, float], grid: Grid) -> NDArray[np.float64]:
    """(rows, columns) the share of each patch that a box covers.

    Args:
        box: left, top, right, bottom, in the coordinates of what the patches divide; it may reach beyond.
        size: height and width of what the patches divide.
        grid: rows and columns of patches.

    Published is a mask resized to the nearest pixel, which gives a patch all or nothing, and a small box no patch at
    all. Shares make equal attention everywhere come to exactly the area of the box, however small.
    """
    left, top, right, bottom = box
    down = _overlap(top, bottom, size[0], grid[0])
    across = _overlap(left, right, size[1], grid[1])
    return np.outer(down, across)


def attention_share(attention: NDArray[np.floating], coverage: NDArray[np.float64]) -> float:
    """How much of the attention (rows, columns), each at least 0, falls on what is covered, in [0, 1].

    Attention that is nowhere counts as equal everywhere.
    """
    weights = np.asarray(attention, dtype=np.float64)
    total = float(weights.sum())
    if total <= 0:
        return float(coverage.mean())
    return float(np.clip((weights * coverage).sum() / total, 0.0, 1.0))


def _overlap(start: float, end: float, length: float, count: int) -> NDArray[np.float64]:
    """(count,) the share of each of `count` equal pieces of [0, length] that lies in [start, end]."""
    edges = np.linspace(0.0, length, count + 1)
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    shares: NDArray[np.float64] = np.clip(inside, 0.0, None) / (length / count)
    return shares
