"""The similarities of a class, held in full (dense) or for the nearest neighbours only (sparse).

Facility location needs the same few things of both. `cover` (n,) is how well each point is represented so far:

    gain(j, cover)      what choosing j adds: sum_i max(S_ij - cover_i, 0)
    gains(cover)        the same for every j, (n,)
    add(j, cover)       cover_i = max(cover_i, S_ij), in place
    unseen(cover)       an upper bound on what similarities that are not held could add to any set
    closest()           an upper bound on how similar each point is to any other point (n,)
    represented(chosen) how well each point is represented (n,), and by which of the chosen (n,)
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from augforge.algorithms.selection.neighbours import nearest
from augforge.algorithms.selection.points import Likeness, Points, blocks, product_blocks
from augforge.algorithms.selection.selection import Floats, Indices

SPARSE_BYTES = 20  # about what each neighbour of each point takes while the sparse kernel is built
SPARSE_EXACT_ROWS = 4096  # beyond, comparing all with all would take most of the time: see `nearest`
_ROUNDING = np.float32(2**-18)  # two matrix products of the same points differ by less
_PRODUCT_NUMBERS = 1 << 20


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

    def closest(self) -> Points:
        """An upper bound on how similar each point is to any other one, (n,)."""

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """How well (n,) and by which of `chosen` (n,) each point is represented; the first chosen wins ties."""


class Dense:
    """All n * n similarities: 4 n**2 bytes. A point is wholly similar to itself."""

    def __init__(self, points: Points, likeness: Likeness) -> None:
        self.n = len(points)
        self._rows: Points = np.empty((self.n, self.n), dtype=np.float32)
        for rows in product_blocks(self.n):
            likeness.between(points[rows], points, out=self._rows[rows])
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

    def closest(self) -> Points:
        """How similar each point is to the nearest other one; 0 where there is none."""
        best: Points = np.zeros(self.n, dtype=np.float32)
        for rows in blocks(self.n, self.n):
            others = self._rows[rows].copy()
            others[np.arange(len(others)), np.arange(rows.start, rows.stop)] = 0
            best[rows] = others.max(axis=1)
        return best

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """Whom each point is nearest to, from the rows of the chosen."""
        best, owner = np.full(self.n, -1, dtype=np.float32), np.zeros(self.n, dtype=np.int64)
        for position, j in enumerate(chosen):
            owner[self._rows[j] > best] = position
            self.add(j, best)
        return best, owner


class Sparse:
    """The similarities of each point to its k nearest neighbours, itself always among them; the others count as 0.

    16 bytes per neighbour and point. See `nearest` for which neighbours.

    Attributes:
        neighbours: (n, k) their numbers, in no order.
        similarities: (n, k) how similar they are.
    """

    def __init__(
        self, points: Points, likeness: Likeness, neighbours: int, exact_rows: int = SPARSE_EXACT_ROWS
    ) -> None:
        from scipy.sparse import csr_matrix

        self.n, self._points, self._likeness = len(points), points, likeness
        k = min(neighbours, self.n)
        found = nearest(points, likeness, k, exact_rows)
        self.neighbours, self.similarities = found.near, found.values
        self._edge = found.edge
        own = found.near == np.arange(self.n, dtype=np.int32)[:, None]
        self._closest: Points = np.maximum(np.where(own, 0, found.values).max(axis=1), found.edge)
        # By candidate: the points that have it among their neighbours, in rising order.
        starts = np.arange(0, self.n * k + 1, k, dtype=np.int64 if self.n * k > 2**31 - 1 else np.int32)
        rows = csr_matrix((found.values.ravel(), found.near.ravel(), starts), shape=(self.n, self.n), copy=False)
        del own
        columns = rows.tocsc()
        self._starts, self._near, self._values = columns.indptr, columns.indices, columns.data
        self._bounds = self._starts.tolist()

    def gain(self, j: int, cover: Points) -> float:
        """What choosing `j` adds, over those that have it as a neighbour."""
        begin, end = self._bounds[j], self._bounds[j + 1]
        extra = self._values[begin:end] - cover[self._near[begin:end]]
        np.maximum(extra, 0, out=extra)
        return float(extra.sum(dtype=np.float64))

    def gains(self, cover: Points, weights: Floats | None = None) -> Floats:
        """What choosing each adds, (n,), where each point counts `weights` (n,) times."""
        extra = self._values - cover[self._near]
        np.maximum(extra, 0, out=extra)
        if weights is not None:
            extra = extra * weights[self._near]
        found: Floats = np.add.reduceat(extra, self._starts[:-1], dtype=np.float64)
        return found

    def add(self, j: int, cover: Points) -> None:
        """Choose `j`."""
        begin, end = self._bounds[j], self._bounds[j + 1]
        near = self._near[begin:end]
        cover[near] = np.maximum(cover[near], self._values[begin:end])

    def represented_by(self, j: int) -> tuple[Indices, Points]:
        """The points (m,) that have `j` among their neighbours, and how similar they are to it (m,)."""
        held = slice(self._bounds[j], self._bounds[j + 1])
        return self._near[held], self._values[held]

    def between(self, rows: Indices, others: Indices) -> Points:
        """The similarities of points, neighbours or not, (m, c) for `rows` (m,) and `others` (c,)."""
        return self._likeness.between(self._points[rows], self._points[others])

    def missed(self, cover: Points, rows: Indices) -> float:
        """Of all pairs of one of `rows` (m,) and any point that choosing it could gain from, which share is not held.

        Such pairs are more similar than the row is covered. What is missed among the others does not matter any more.
        """
        could_gain = held = 0
        for part in np.array_split(rows, -(-len(rows) * self.n // _PRODUCT_NUMBERS)):
            values = self._likeness.between(self._points[part], self._points)
            values[np.arange(len(part)), part] = 1
            least = cover[part, None] + _ROUNDING
            could_gain += int(np.count_nonzero(values > least))
            held += int(np.count_nonzero(self.similarities[part] > least))
        return max(0.0, 1 - held / could_gain) if could_gain else 0.0

    def unseen(self, cover: Points) -> float:
        """A set represents each point through one member, which is no neighbour of it or is counted by `gains`."""
        return float(np.maximum(self._edge - cover, 0).sum(dtype=np.float64))

    def closest(self) -> Points:
        """An upper bound on how similar each point is to any other one."""
        return self._closest

    def represented(self, chosen: Indices) -> tuple[Points, Indices]:
        """Whom each point is nearest to: the best of its chosen neighbours or, if it has none, of all the chosen."""
        best: Points = np.full(self.n, -1, dtype=np.float32)
        owner = np.zeros(self.n, dtype=np.int64)
        for position, j in enumerate(chosen.tolist()):
            held = slice(self._bounds[j], self._bounds[j + 1])
            nearer = self._values[held] > best[self._near[held]]
            owner[self._near[held][nearer]] = position
            best[self._near[held][nearer]] = self._values[held][nearer]
        lost = np.flatnonzero(best <= 0)
        best[lost], owner[lost] = nearest_of(self._points[lost], self._points[chosen], self._likeness)
        return best, owner


def nearest_of(points: Points, centres: Points, likeness: Likeness) -> tuple[Points, Indices]:
    """How similar (m,) each of `points` (m, d) is to the most similar of `centres` (k, d), and which that is (m,)."""
    best, owner = np.empty(len(points), dtype=np.float32), np.empty(len(points), dtype=np.int64)
    step = max(1, _PRODUCT_NUMBERS // max(1, len(centres)))
    for start in range(0, len(points), step):
        values = likeness.between(points[start : start + step], centres)
        owner[start : start + step] = values.argmax(axis=1)
        best[start : start + step] = values.max(axis=1)
    return best, owner
