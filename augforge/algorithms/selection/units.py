"""What is computed of one part of a pool: pure functions of what they are given, for this process or for another.

Each takes a `Reading` and a part, and answers with little: numbers of the chosen, not points. So a part may be computed
anywhere, twice, and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import Reading, blocks_of
from augforge.algorithms.selection.kernels import SPARSE_BYTES, Sparse, nearest_of
from augforge.algorithms.selection.lists import lists_of, nearest_centre
from augforge.algorithms.selection.points import Likeness, Points
from augforge.algorithms.selection.selection import Floats, Indices
from augforge.algorithms.selection.sparse_greedy import sparse_greedy

Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Calls a function for each of some units and answers in their order: `map`, or `map` of a pool of processes."""

STEP = 16
"""Weights are in steps of 1/16, so that sums of similarities times weights are exact."""
_REACH = 2.0  # the chosen of a part have so many times its rows as neighbours in all, where the memory allows
_COMPARED = 16_384  # to so many chosen ones, rows are compared with all of them,
_LIST = 8  # beyond, with those in lists of about so many,
_NEAR = 64  # and so many lists that are nearest


@dataclass(frozen=True, slots=True)
class Part:
    """Points among which `budget` are chosen.

    Attributes:
        rows: (m,) where they are read; of equal gains the first one wins.
        budget: at most m.
        weights: (m,) how much each one counts; None for 1.
    """

    rows: Indices
    budget: int
    weights: Floats | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen of a part.

    Attributes:
        places: (b,) which of its points, in order of gain.
        gains: (b,) what each one added.
        weights: (b,) the similarities, times weights, of the points that are nearest to each one, summed up.
        objective: their sum.
    """

    places: Indices
    gains: Floats
    weights: Floats
    objective: float


def choose_in_part(reading: Reading, neighbours: int, memory: int, part: Part) -> Chosen:
    """Choose greedily among the points of a part, which are counted alone.

    Each point is compared with its `neighbours` nearest, or with more where few are to be chosen, within `memory`
    bytes.
    """
    points = reading.points(part.rows)
    kernel = Sparse(points, reading.likeness, _enough(neighbours, memory, len(points), part.budget))
    chosen, gains, _ = sparse_greedy(kernel, part.budget, part.weights)
    cover, owner = kernel.represented(chosen)
    counted = cover.astype(np.float64) if part.weights is None else cover * part.weights
    return Chosen(chosen, gains, in_steps(summed(counted, owner, len(chosen))), float(counted.sum()))


def _enough(neighbours: int, memory: int, n: int, budget: int) -> int:
    wanted = max(neighbours, int(_REACH * n / max(1, budget)))
    return min(n, max(neighbours, min(wanted, memory // (SPARSE_BYTES * n))))


def summed(values: NDArray[Any], owner: Indices, k: int) -> Floats:
    """(k,) the sums of `values` (m,) by their owners (m,)."""
    return np.bincount(owner, weights=values, minlength=k).astype(np.float64)


def in_steps(weights: Floats) -> Floats:
    """Weights (k,) to the nearest step."""
    stepped: Floats = np.rint(weights * STEP) / STEP
    return stepped


class Representatives:
    """Points that represent others (k, d); each row is compared with those in the lists that are nearest to its own.

    With up to 16,384 of them all are compared. Beyond, the answer may say that a row is less well represented than it
    is, by up to a tenth in what was measured, but never that it is better.
    """

    def __init__(self, points: Points, likeness: Likeness) -> None:
        self._points, self._likeness = points, likeness
        self._lists = None if len(points) <= _COMPARED else lists_of(points, likeness, _LIST)

    def __len__(self) -> int:
        return len(self._points)

    def of(self, points: Points) -> tuple[Points, Indices]:
        """How similar (m,) each of `points` (m, d) is to its representative, and which that is (m,)."""
        if self._lists is None:
            return nearest_of(points, self._points, self._likeness)
        best, owner = np.zeros(len(points), dtype=np.float32), np.zeros(len(points), dtype=np.int64)
        home = nearest_centre(points, self._lists.centres, self._likeness)
        for number in np.unique(home).tolist():
            mine = np.flatnonzero(home == number)
            apart = self._likeness.apart(self._lists.centres[number : number + 1], self._lists.centres)[0]
            near = np.argsort(apart, kind="stable")[:_NEAR]
            some = np.sort(np.concatenate([self._lists.rows[other] for other in near]))
            best[mine], found = nearest_of(points[mine], self._points[some], self._likeness)
            owner[mine] = some[found]
        return best, owner


@dataclass(frozen=True, slots=True)
class Represented:
    """How well some rows are represented, in sum and by each representative (k,), and how many are by each (k,)."""

    objective: float
    covered: Floats
    sizes: Floats

    def with_(self, other: Represented) -> Represented:
        """These rows and others together."""
        return Represented(self.objective + other.objective, self.covered + other.covered, self.sizes + other.sizes)


def represent(reading: Reading, by: Representatives, rows: Indices) -> Represented:
    """How well `rows` (m,) are represented."""
    covered, sizes = np.zeros(len(by)), np.zeros(len(by))
    for block in blocks_of(rows):
        cover, owner = by.of(reading.points(block))
        covered += summed(cover, owner, len(by))
        sizes += np.bincount(owner, minlength=len(by))
    return Represented(float(covered.sum()), covered, sizes)
