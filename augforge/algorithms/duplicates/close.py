"""Pairs of near vectors among more than fit into memory: each is compared with the cells that are nearest to it.

    k-means on a sample, by the hash of the ids, gives the centres of cells of about sqrt(n / cells) rows,
    one pass finds the nearest `cells` centres of each row; it is a member of the nearest one,
    and each row is compared with all members of those cells.

So pairs across a border are found from either side. A pair is missed if neither row's nearest cells have the other
one. Time is in proportion to n sqrt(n cells).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.pairs import Pairs
from augforge.algorithms.selection.by_rows import Pool, Reading, blocks_of
from augforge.algorithms.selection.cells import assigned, centres_of
from augforge.algorithms.selection.points import Points
from augforge.algorithms.selection.selection import Indices
from augforge.algorithms.selection.units import Run

CELLS = 4
"""How many cells each row is compared with."""
_LEAST_ROWS = 256  # no cell is meant to have fewer
_ASKING = 4096  # rows that are compared at a time


@dataclass(frozen=True, slots=True)
class Asking:
    """Rows (a,) that are compared with the members (m,) of a cell, both as the reader has them.

    `own` is where among the members the first of the rows is; None where they are members of other cells.
    """

    rows: Indices
    members: Indices
    own: int | None


def close_pairs(
    pool: Pool, similarity: float, *, cells: int = CELLS, most: int = 20, run: Run = map
) -> Iterator[Pairs]:
    """Pairs (p, 2), i < j, of members that are at least so similar, a block at a time; some come twice.

    Args:
        pool: the n vectors.
        similarity: the least likeness of near ones.
        cells: with how many of its nearest cells each row is compared; with all of them nothing is missed.
        most: of a row that has more near ones in 16,384 members of a cell, only so many are told, the most similar.
        run: what computes the units; it changes nothing but the time.
    """
    count = max(1, -(-len(pool) // max(_LEAST_ROWS, math.isqrt(len(pool) // cells))))
    near = assigned(pool, centres_of(pool, count), min(cells, count), run)
    home = _grouped(near[:, 0], count)
    work = partial(near_in_cell, pool.reading, similarity, most)
    for rank in range(near.shape[1]):
        asking = home if rank == 0 else _grouped(near[:, rank], count)
        portions = [(cell, start) for cell in range(count) for start in range(0, len(asking[cell]), _ASKING)]
        units = (
            Asking(pool.rows[asking[cell][start : start + _ASKING]], pool.rows[home[cell]], None if rank else start)
            for cell, start in portions
        )
        for (cell, start), found in zip(portions, run(work, units), strict=True):
            pairs = np.stack([asking[cell][start + found[:, 0]], home[cell][found[:, 1]]], axis=1)
            yield np.unique(np.sort(pairs, axis=1), axis=0)


def near_in_cell(reading: Reading, similarity: float, most: int, asking: Asking) -> Pairs:
    """(p, 2) which of the rows and which of the members, by their places, are at least so similar."""
    points = reading.points(asking.rows)
    found = [np.empty((0, 2), dtype=np.int64)]
    for block in blocks_of(np.arange(len(asking.members))):
        values = reading.likeness.between(points, reading.points(asking.members[block]))
        if asking.own is not None:  # none is a pair with itself
            own = np.arange(len(points)) + asking.own - block[0]
            inside = np.flatnonzero((own >= 0) & (own < len(block)))
            values[inside, own[inside]] = -1
        near = np.argwhere(_at_most(values, values >= similarity, most))
        near[:, 1] += block[0]
        found.append(near)
    return np.concatenate(found)


def _at_most(values: Points, near: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """(a, m) `near`, of each row the `most` with the largest values; ties go to the first."""
    for row in np.flatnonzero(np.count_nonzero(near, axis=1) > most):
        near[row, np.argsort(-values[row], kind="stable")[most:]] = False
    return near


def _grouped(cell: NDArray[np.int32], count: int) -> list[Indices]:
    """The members of each of `count` cells, given the cell of each (n,)."""
    order = np.argsort(cell, kind="stable").astype(np.int64)
    return np.split(order, np.searchsorted(cell[order], np.arange(1, count)))
