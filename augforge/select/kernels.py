"""The similarities of a class, held in full (dense) or for the nearest neighbours only (sparse).

Facility location needs the same few things of both. `cover` (n,) is how well each point is represented so far:

    gain(j, cover)      what choosing j adds: sum_i max(S_ij - cover_i, 0)
    gains(cover)        the same for every j, (n,)
    add(j, cover)       cover_i = max(cover_i, S_ij), in place
    unseen(cover)       an upper bound on what similarities that are not held could add to any set
    represented(chosen) how well each point is represented in truth (n,), and by which of the chosen (n,)
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from augforge.select.points import Points, Similarity, blocks, from_products, from_squares, product_blocks, similarities
from augforge.select.selection import Floats, Indices

_QUERIES = 4096  # neighbours are looked up for this many points at a time


class Kernel(Protocol):
    """See the module."""

    n: int

    def gain(self, j: int, cover: Points) -> float:
        """What choosing `j` adds."""

    def gains(self, cover: Points) -> Floats:
        """What choosing each adds, (n,)."""

    def add(self, j: int, cover: Points) -> None:
        """Choose `j`: update `cover` in place."""

    def unseen(self, cover: Points) -> float:
        """An upper bound on what similarities that are not held could add."""

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """How well (n,) and by which of `chosen` (n,) each point is represented; the first chosen wins ties."""


class Dense:
    """All n * n similarities: 4 n**2 bytes. A point is wholly similar to itself."""

    def __init__(self, points: Points, similarity: Similarity) -> None:
        self.n = len(points)
        self._rows: Points = np.empty((self.n, self.n), dtype=np.float32)
        for rows in product_blocks(self.n):
            similarities(points[rows], points, similarity, out=self._rows[rows])
        np.fill_diagonal(self._rows, 1)
        self._spare: Points = np.empty(self.n, dtype=np.float32)

    def gain(self, j: int, cover: Points) -> float:
        """What choosing `j` adds."""
        np.subtract(self._rows[j], cover, out=self._spare)
        np.maximum(self._spare, 0, out=self._spare)
        return float(self._spare.sum(dtype=np.float64))

    def gains(self, cover: Points) -> Floats:
        """What choosing each adds, (n,)."""
        found = np.empty(self.n)
        for rows in blocks(self.n, self.n):
            extra = self._rows[rows] - cover
            found[rows] = np.maximum(extra, 0, out=extra).sum(axis=1, dtype=np.float64)
        return found

    def add(self, j: int, cover: Points) -> None:
        """Choose `j`."""
        np.maximum(cover, self._rows[j], out=cover)

    def unseen(self, cover: Points) -> float:
        """Nothing: every similarity is held."""
        return 0.0

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """Whom each point is nearest to, from the rows of the chosen."""
        best, owner = np.full(self.n, -1, dtype=np.float32), np.zeros(self.n, dtype=np.int64)
        for position, j in enumerate(chosen):
            owner[self._rows[j] > best] = position
            self.add(j, best)
        return best, owner


class Sparse:
    """The similarities of each point to its `neighbours` nearest, itself always among them; the others count as 0.

    About 12 bytes per neighbour and point. Exact nearest neighbours by faiss, n**2 d time.
    """

    def __init__(self, points: Points, similarity: Similarity, neighbours: int) -> None:
        self.n, self._points, self._similarity = len(points), points, similarity
        k = min(neighbours, self.n)
        near, values = _nearest(points, similarity, k)
        # No similarity left out of row i exceeds edge[i].
        self._edge = values[:, -1].copy() if k < self.n else np.zeros(self.n, dtype=np.float32)
        _hold_self(near, values)
        # By candidate: the points that have it among their neighbours, in rising order.
        by_candidate = np.argsort(near, axis=None, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(near.ravel(), minlength=self.n))])
        self._values = values.ravel()[by_candidate]
        del near, values
        by_candidate //= k
        self._near = by_candidate.astype(np.int32)
        self._bounds = self._starts.tolist()

    def gain(self, j: int, cover: Points) -> float:
        """What choosing `j` adds, over those that have it as a neighbour."""
        begin, end = self._bounds[j], self._bounds[j + 1]
        extra = self._values[begin:end] - cover[self._near[begin:end]]
        np.maximum(extra, 0, out=extra)
        return float(extra.sum(dtype=np.float64))

    def gains(self, cover: Points) -> Floats:
        """What choosing each adds, (n,)."""
        extra = self._values - cover[self._near]
        np.maximum(extra, 0, out=extra)
        found: Floats = np.add.reduceat(extra, self._starts[:-1], dtype=np.float64)
        return found

    def add(self, j: int, cover: Points) -> None:
        """Choose `j`."""
        begin, end = self._bounds[j], self._bounds[j + 1]
        near = self._near[begin:end]
        cover[near] = np.maximum(cover[near], self._values[begin:end])

    def unseen(self, cover: Points) -> float:
        """A set represents each point through one member, which is no neighbour of it or is counted by `gains`."""
        return float(np.maximum(self._edge - cover, 0).sum(dtype=np.float64))

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """Whom each point is nearest to, recomputed from the points: neighbours or not."""
        best, owner = np.empty(self.n, dtype=np.float32), np.empty(self.n, dtype=np.int64)
        centres = self._points[chosen]
        for rows in product_blocks(self.n):
            values = similarities(self._points[rows], centres, self._similarity)
            owner[rows] = values.argmax(axis=1)
            best[rows] = values.max(axis=1)
        inexact = np.flatnonzero(best[chosen] < 1)  # a chosen point represents itself wholly
        best[chosen[inexact]], owner[chosen[inexact]] = 1, inexact
        return best, owner


def _nearest(points: Points, similarity: Similarity, k: int) -> tuple[NDArray[np.int32], Points]:
    """(n, k) the k most similar points of each, and (n, k) their similarities, falling."""
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT if similarity == "cosine" else faiss.METRIC_L2
    near, values = np.empty((len(points), k), dtype=np.int32), np.empty((len(points), k), dtype=np.float32)
    for start in range(0, len(points), _QUERIES):
        rows = slice(start, start + _QUERIES)
        measured, near[rows] = faiss.knn(points[rows], points, k, metric=metric)
        values[rows] = from_products(measured) if similarity == "cosine" else from_squares(measured)
    return near, values


def _hold_self(near: NDArray[np.int32], values: Points) -> None:
    """A point with more than k duplicates may miss itself: put it in the last place. Its own similarity is 1."""
    own = np.arange(len(near), dtype=np.int32)
    missing = ~(near == own[:, None]).any(axis=1)
    near[missing, -1] = own[missing]
    values[near == own[:, None]] = 1
