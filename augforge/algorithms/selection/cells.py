"""Cells: a pool divided by k-means into cells of points that are near each other, in one pass over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import Pool, Reading, blocks_of
from augforge.algorithms.selection.lists import means_of, nearest_centres
from augforge.algorithms.selection.points import Points
from augforge.algorithms.selection.selection import Indices
from augforge.algorithms.selection.units import Run

_SAMPLE = 64  # rows per centre that k-means looks at,
_LEAST_SAMPLE = 8192  # and how many at least
_LARGEST = 2  # no cell is larger than this times the mean
_UNIT = 65_536  # rows that are assigned at a time
_SALT = 1


@dataclass(frozen=True, slots=True)
class Cells:
    """The c cells of a pool; every member is in one.

    Attributes:
        members: c arrays, each in the order of their keys.
        centres: (c, d) what its members are nearest to; the pieces of a cell that was too large share theirs.
    """

    members: list[Indices]
    centres: Points


def cells_of(pool: Pool, size: int, run: Run = map) -> Cells:
    """Cells of about `size` and at most 2 `size` members, by (spherical) k-means on a sample.

    The sample is taken by the hash of the ids. A cell that is larger is divided by the hash of the ids as well, into
    pieces of which each is as good as a random part of it. So the order of rows does not matter, nor who computes.
    """
    count = -(-len(pool) // size)
    if count == 1:
        return Cells([np.argsort(pool.keys, kind="stable").astype(np.int64)], pool.points(pool.first(1, _SALT)))
    centres = centres_of(pool, count)
    owner = assigned(pool, centres, 1, run)[:, 0]
    order = np.lexsort((pool.keys, owner)).astype(np.int64)
    members, home = [], []
    edges = np.searchsorted(owner[order], np.arange(count + 1))
    for number, (start, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        pieces = -(-(end - start) // (_LARGEST * size))
        members += np.array_split(order[start:end], pieces) if pieces else []
        home += [number] * pieces
    return Cells(members, centres[home])


def centres_of(pool: Pool, count: int) -> Points:
    """(count, d) centres by (spherical) k-means on a sample that is taken by the hash of the ids."""
    sample = pool.points(pool.first(max(_SAMPLE * count, _LEAST_SAMPLE), _SALT))
    return means_of(sample, pool.reading.likeness, count)


def assigned(pool: Pool, centres: Points, nearest: int, run: Run = map) -> NDArray[np.int32]:
    """(n, nearest) the numbers of each member's nearest centres (c, d), in one pass in the order in which they lie."""
    rows = (pool.rows[start : start + _UNIT] for start in range(0, len(pool), _UNIT))
    owner = np.empty((len(pool), nearest), dtype=np.int32)
    for number, found in enumerate(run(partial(assign, pool.reading, centres, nearest), rows)):
        owner[number * _UNIT : number * _UNIT + len(found)] = found
    return owner


def assign(reading: Reading, centres: Points, nearest: int, rows: Indices) -> NDArray[np.int32]:
    """(m, nearest) the numbers of the nearest of `centres` (c, d) to each of `rows` (m,), the nearest one first."""
    found = [nearest_centres(reading.points(block), centres, reading.likeness, nearest) for block in blocks_of(rows)]
    return np.concatenate(found).astype(np.int32)
