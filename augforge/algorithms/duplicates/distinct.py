"""Rows by the hash that they have, so that a hash that many rows share is compared with others once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.hashes import NO_STRUCTURE, Hashes

Pairs = NDArray[np.int64]
Numbers = NDArray[np.int64]
Rows = NDArray[np.signedinteger[Any]]

NARROW_ROWS = 2**31 - 1
"""So many rows have numbers of 4 bytes."""


class Distinct:
    """The different hashes `values` (m,), rising and without `NO_STRUCTURE`, and the rows that have each.

    Held are 12 bytes a value and 4 a row (16 and 8 beyond 2,147,483,647 rows).
    """

    def __init__(self, hashes: Hashes) -> None:
        narrow: type[np.signedinteger[Any]] = np.int32 if len(hashes) <= NARROW_ROWS else np.int64
        nothing = np.count_nonzero(hashes == NO_STRUCTURE)  # which is the smallest
        self.rows: Rows = np.argsort(hashes)[nothing:].astype(narrow)
        ordered = hashes[self.rows]
        new = np.ones(len(ordered), dtype=bool)
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        self.values: Hashes = ordered[new]
        self._starts: Rows = np.append(np.flatnonzero(new), len(new)).astype(narrow)

    def __len__(self) -> int:
        return len(self.values)

    def runs(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """(p,) where in `rows` those of values with these numbers (p,) begin, and (p,) how many these are."""
        firsts = self._starts[numbers].astype(np.int64)
        return firsts, self._starts[numbers + 1] - firsts

    def within(self, most: int) -> Iterator[Pairs]:
        """(p, 2) rows i < j that share a hash, all pairs, about `most` at a time."""
        firsts, counts = self.runs(np.flatnonzero(np.diff(self._starts) > 1))
        places = ranges(firsts, counts)
        after = np.repeat(firsts + counts, counts) - places - 1
        for part in portions(after, most):
            others = ranges(places[part] + 1, after[part])
            pairs = np.stack([np.repeat(self.rows[places[part]], after[part]), self.rows[others]], axis=1)
            yield np.sort(pairs, axis=1).astype(np.int64)


def rows_of(left: Distinct, right: Distinct, pairs: Pairs, most: int) -> Iterator[tuple[Pairs, Numbers]]:
    """All rows of each side that have the values of `pairs` (p, 2), about `most` at a time.

    Told are (q, 2) rows and (q,) which of `pairs` each comes from.
    """
    firsts, counts = left.runs(pairs[:, 0])
    for part in portions(counts, most):
        rows = left.rows[ranges(firsts[part], counts[part])]
        which = np.repeat(np.arange(part.start, part.stop), counts[part])
        others, sizes = right.runs(pairs[which, 1])
        for few in portions(sizes, most):
            found = right.rows[ranges(others[few], sizes[few])]
            yield (
                np.stack([np.repeat(rows[few], sizes[few]), found], axis=1).astype(np.int64),
                np.repeat(which[few], sizes[few]),
            )


def portions(counts: Numbers, most: int) -> Iterator[slice]:
    """Slices of `counts` that sum to about `most`, one row at least."""
    ends, start = np.cumsum(counts), 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield slice(start, stop)
        start = stop


def ranges(firsts: Numbers, counts: Numbers) -> Numbers:
    """firsts[0], firsts[0] + 1, … (counts[0] of them), firsts[1], …"""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0, dtype=np.int64) + np.repeat(firsts - ends + counts, counts)
