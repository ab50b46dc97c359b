"""The map: samples on the two principal components of their embeddings, and the inside of a lasso on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import BLOCK_ROWS, RowReader

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Plane:
    """m samples on a map: `rows` (m,), `places` (m, 2), the shares of the variance along both axes, and the order of
    their heights (m,), by which an edge of a lasso finds what it passes."""

    rows: NDArray[np.int32]
    places: Floats
    explained: tuple[float, float]
    order: NDArray[np.int32]

    def inside(self, polygon: Sequence[tuple[float, float]]) -> NDArray[np.int64]:
        """The rows whose place lies in a polygon, rising; by the even-odd rule, with its lower and left edges."""
        ordered = self.places[self.order]
        found = inside_of(ordered, np.asarray(polygon, dtype=np.float64))
        return np.sort(self.rows[self.order[found]]).astype(np.int64)


def inside_of(points: NDArray[np.floating], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(m,) which points lie in a polygon, by the even-odd rule.

    Each edge is compared only with the points at its height, so that a lasso of hundreds of corners costs little more
    than a square.

    Args:
        points: (m, 2), sorted by their second coordinate.
        polygon: (k, 2) corners, in order.
    """
    inside = np.zeros(len(points), dtype=bool)
    heights = points[:, 1].astype(np.float64)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        low, high = np.searchsorted(heights, [min(y0, y1), max(y0, y1)], "left")
        if low == high:
            continue
        part = points[low:high]
        crossing = x0 + (part[:, 1] - y0) * ((x1 - x0) / (y1 - y0))
        inside[low:high] ^= part[:, 0] < crossing
    return inside


def plane_of(reader: RowReader, rows: NDArray[np.int32]) -> Plane:
    """The map of m >= 3 vectors on the two axes of their largest variance, read a block at a time.

    The same as scikit-learn's PCA with `svd_solver="covariance_eigh"`, whose signs it has too: the largest entry of
    each axis is positive.

    Args:
        reader: the vectors (m, d).
        rows: (m,) whose they are.
    """
    count, width = reader.shape
    blocks = [np.arange(start, min(start + BLOCK_ROWS, count)) for start in range(0, count, BLOCK_ROWS)]
    total, products = np.zeros(width), np.zeros((width, width))
    for block in blocks:
        part = reader.read(block).astype(np.float32)
        total += part.sum(axis=0, dtype=np.float64)
        products += part.T @ part
    mean = total / count
    covariance = (products - count * np.outer(mean, mean)) / (count - 1)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :2]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, range(axes.shape[1])] < 0, -1.0, 1.0)
    places = np.zeros((count, 2), dtype=np.float32)
    for block in blocks:
        centred = reader.read(block).astype(np.float32) - mean.astype(np.float32)
        places[block, : axes.shape[1]] = centred @ axes.astype(np.float32)
    shares = np.clip(values[::-1][:2], 0, None) / max(float(values.clip(0).sum()), 1e-30)
    first, second = (*shares.tolist(), 0.0)[:2]
    return Plane(rows, places, (float(first), float(second)), np.argsort(places[:, 1], kind="stable").astype(np.int32))
