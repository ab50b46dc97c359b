"""Who stays of those that are near-duplicates: exact copies first, then near pairs; one verdict and its cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.groups import components
from augforge.algorithms.duplicates.pair_file import PairFile
from augforge.algorithms.duplicates.pairs import Pairs

Rows = NDArray[np.signedinteger[Any]]
Search = Callable[[Rows], Iterator[Pairs]]
"""Given row numbers, the pairs (p, 2) of them that are near, a block at a time; a pair may come twice."""

NOBODY = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of n rows.

    Attributes:
        by: (n,) the row that stays in place of this one, NOBODY for those that stay.
        cluster: (n,) a number shared by all that hang together, directly or not.
    """

    by: Rows
    cluster: Rows


def settle(rank: Rows, fixed: NDArray[np.bool_], copies: Pairs, search: Search, folder: Path | None = None) -> Verdict:
    """Keep rows by rank: a row goes if it is near one that stays and has a lower rank (or is fixed), and only then.

    So no one goes for hanging together with another over a chain of others: a row and what stays in its place are
    near each other, which clusters do not promise. The answer is that of going through all rows by rank, and depends
    on neither their order nor that of pairs. It is searched once; memory grows with n, not with the pairs.

    Args:
        rank: (n,) distinct; the lowest stays.
        fixed: (n,) rows that stay whatever they are near to.
        copies: (p, 2) rows that are exact copies, each with the one that its group keeps.
        search: finds the near ones of those that are no copies.
        folder: where a file of pairs is made if there are many; None for where temporary files lie.
    """
    n = len(rank)
    rank = rank.astype(row_type(2 * n), copy=False)
    order = np.where(fixed, rank - n, rank)
    by = np.full(n, NOBODY, dtype=order.dtype)
    for a, b in ((0, 1), (1, 0)):
        goes = ~fixed[copies[:, a]] & (order[copies[:, b]] < order[copies[:, a]])
        by[copies[goes, a]] = copies[goes, b]
    cluster = _decide(order, fixed, by, copies, Once(search, n, folder))
    gone = np.flatnonzero(by != NOBODY)
    further = by[by[gone]]  # of a copy whose twin goes as well: for what that one goes
    by[gone] = np.where(further == NOBODY, by[gone], further)
    return Verdict(by, cluster)


def _decide(order: Rows, fixed: NDArray[np.bool_], by: Rows, copies: Pairs, near: Once) -> Rows:
    """Fill `by` for those that are no copies, in rounds; the clusters (n,).

    The first look finds the clusters and who is in a pair at all; only these take part in the rounds.
    """
    met = np.zeros(len(order), dtype=bool)
    cluster = components(len(order), chain([copies], _marked(near(np.flatnonzero(by == NOBODY)), met)))
    rows = np.flatnonzero(met)
    number = np.zeros(len(order), dtype=order.dtype)
    number[rows] = np.arange(len(rows))
    rounds = _Rounds(order[rows], fixed[rows])
    while rounds.undecided:
        rounds.go(number[pairs] for pairs in near(rows[rounds.by == NOBODY]))
    gone = np.flatnonzero(rounds.by != NOBODY)
    by[rows[gone]] = rows[rounds.by[gone]]
    return cluster


def _marked(blocks: Iterator[Pairs], met: NDArray[np.bool_]) -> Iterator[Pairs]:
    """The pairs, whose rows are marked in `met` (n,)."""
    for pairs in blocks:
        met[pairs] = True
        yield pairs


def row_type(count: int) -> type[np.int32 | np.int64]:
    """The smallest signed type that has a number for each of `count` rows."""
    return np.int32 if count <= np.iinfo(np.int32).max else np.int64


class _Rounds:
    """Who stays of m rows, each of which is in a pair: `by` (m,) as of `Verdict`.

    In each round whoever is before all undecided neighbours stays, and whoever is near one that stays goes.
    """

    def __init__(self, order: Rows, fixed: NDArray[np.bool_]) -> None:
        self._place = np.argsort(order).astype(order.dtype)
        self._nth = np.empty_like(order)
        self._nth[self._place] = np.arange(len(order))
        self._stays, self.by = fixed.copy(), np.full(len(order), NOBODY, dtype=order.dtype)

    @property
    def undecided(self) -> bool:
        """Whether anyone neither stays nor goes yet."""
        return not bool((self._stays | (self.by != NOBODY)).all())

    def go(self, blocks: Iterable[Pairs]) -> None:
        """One round, over the pairs of all that do not go yet."""
        nobody = len(self._nth)
        staying, open_ = (np.full(nobody, nobody, dtype=self._nth.dtype) for _ in range(2))
        for pairs in blocks:  # the first neighbour of each that stays, and the first that is undecided
            for row, other in (pairs.T, pairs.T[::-1]):
                sure = self._stays[other]
                np.minimum.at(staying, row[sure], self._nth[other[sure]])
                np.minimum.at(open_, row[~sure], self._nth[other[~sure]])
        undecided = np.flatnonzero(~self._stays & (self.by == NOBODY))
        near = staying[undecided] < nobody
        goes, left = undecided[near], undecided[~near]
        self.by[goes] = self._place[staying[goes]]
        self._stays[left[self._nth[left] < open_[left]]] = True


class Once:
    """A search among `count` rows that is done once: what it found is held, in a file without a name if it is much.

    What is asked for later must be among what was asked for before.
    """

    def __init__(self, search: Search, count: int, folder: Path | None = None) -> None:
        self._search, self._count, self._folder = search, count, folder
        self._held: PairFile | None = None

    def __call__(self, rows: Rows) -> Iterator[Pairs]:
        """The pairs (p, 2) of `rows`, a block at a time."""
        kept = PairFile(row_type(self._count), self._folder)
        for pairs in self._search(rows) if self._held is None else self._among(rows):
            kept.add(pairs)
            yield pairs
        self._held = kept

    def _among(self, rows: Rows) -> Iterator[Pairs]:
        wanted = np.zeros(self._count, dtype=bool)
        wanted[rows] = True
        for pairs in self._held or ():
            yield pairs[wanted[pairs].all(axis=1)]


def copies_of(codes: NDArray[np.int64], rank: Rows) -> Pairs:
    """(p, 2) rows of equal `codes` (n,): each with the lowest rank of its group, in no order."""
    order = np.lexsort((rank, codes))
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = codes[order[1:]] != codes[order[:-1]]
    leaders = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    pairs: Pairs = np.stack([leaders[~starts], order[~starts]], axis=1).astype(np.int64).reshape(-1, 2)
    return pairs
