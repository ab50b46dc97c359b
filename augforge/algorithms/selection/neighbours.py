"""The nearest neighbours of every point: all of them compared, or those of the nearest lists only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.lists import lists_of, nearest_beyond
from augforge.algorithms.selection.points import Likeness, Points
from augforge.algorithms.selection.selection import Indices

EXACT_ROWS = 8192  # up to so many points, each is compared with every other one
LIST_ROWS = 256  # beyond, points are compared in lists of about so many
CANDIDATES = 2048  # each with at least so many points of the nearest lists
_BLOCK_NUMBERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Neighbours:
    """k neighbours of each of n points, itself among them.

    Attributes:
        near: (n, k) their row numbers, in no order.
        values: (n, k) their similarities; a point's own is 1.
        edge: (n,) no similarity that was left out exceeds it.
    """

    near: NDArray[np.int32]
    values: Points
    edge: Points


def nearest(points: Points, likeness: Likeness, k: int, exact_rows: int = EXACT_ROWS) -> Neighbours:
    """The k most similar of points (n, d), for each of them.

    Up to `exact_rows` points they are the nearest, in n**2 d time. Beyond, most of them are: points are put into
    lists by k-means, and the members of a list are compared with those of the lists around it, which takes time in
    proportion to n d (and a little n**2 d / 256 for finding the lists). Matrix products of NumPy, because blocks of
    a few hundred points are what faiss is slow at.
    """
    n = len(points)
    found = Neighbours(np.empty((n, k), np.int32), np.empty((n, k), np.float32), np.zeros(n, np.float32))
    if n <= exact_rows or 4 * k >= n:
        _compare_all(points, likeness, found)
    else:
        _compare_lists(points, likeness, found)
    return found


def _compare_all(points: Points, likeness: Likeness, found: Neighbours) -> None:
    everyone = np.arange(len(points))
    step = max(1, _BLOCK_NUMBERS // len(points))
    for start in range(0, len(points), step):
        _compare(points, likeness, everyone[start : start + step], everyone, start, found)


def _compare_lists(points: Points, likeness: Likeness, found: Neighbours) -> None:
    lists = lists_of(points, likeness, LIST_ROWS)
    sizes = np.array([len(rows) for rows in lists.rows])
    wanted = max(CANDIDATES, 4 * found.near.shape[1])
    for number, rows in enumerate(lists.rows):
        apart = likeness.apart(lists.centres[number : number + 1], lists.centres)[0]
        apart[number] = -1  # its own list comes first
        order = np.argsort(apart, kind="stable")
        held = order[: int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1]
        _compare(points, likeness, rows, np.concatenate([lists.rows[other] for other in held]), 0, found)
        beyond = nearest_beyond(points[rows], likeness, lists, held)
        found.edge[rows] = np.maximum(found.edge[rows], beyond)


def _compare(points: Points, likeness: Likeness, rows: Indices, others: Indices, own: int, found: Neighbours) -> None:
    """Keep for each of `rows` (m,) the k most similar of `others` (c,), which has `rows` from position `own` on."""
    k = found.near.shape[1]
    values = likeness.between(points[rows], points[others])
    position = np.arange(len(rows))
    values[position, own + position] = 2  # a point is its own neighbour however many copies it has
    best = _largest(values, k)
    found.near[rows] = others[best]
    found.values[rows] = np.minimum(np.take_along_axis(values, best, axis=1), 1)
    if k < len(others):
        found.edge[rows] = found.values[rows].min(axis=1)


def _largest(values: Points, k: int) -> NDArray[np.intp]:
    """(m, k) the columns of the k largest of each row of `values` (m, c); ties go to the lowest column."""
    cut = values.shape[1] - k
    best = np.argpartition(values, cut, axis=1)[:, cut:]
    least = np.take_along_axis(values, best, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero(np.count_nonzero(values >= least, axis=1) > k)
    best[tied] = np.argsort(-values[tied], axis=1, kind="stable")[:, :k]
    return best
