"""Who stays of those that are near-duplicates: exact copies first, then near pairs; one verdict and its cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.groups import components
from augforge.algorithms.duplicates.pairs import Pairs

Rows = NDArray[np.signedinteger[Any]]
Search = Callable[[Rows], Iterator[Pairs]]
"""Given row numbers, the pairs (p, 2) of them that are near, a block at a time; a pair may come twice."""

NOBODY = -1
_HELD = 1 << 24  # pairs; beyond, they are searched for again in every round


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of n rows.

    Attributes:
        by: (n,) the row that stays in place of this one, NOBODY for those that stay.
        cluster: (n,) a number shared by all that hang together, directly or not.
    """

    by: Rows
    cluster: Rows


def settle(rank: Rows, fixed: NDArray[np.bool_], copies: Pairs, search: Search) -> Verdict:
    """Keep rows by rank: a row goes if it is near one that stays and has a lower rank (or is fixed), and only then.

    So no one goes for hanging together with another over a chain of others: a row and what stays in its place are
    near each other, which clusters do not promise. The answer is that of going through all rows by rank, and depends
    on neither their order nor that of pairs. Memory grows with n, not with the pairs.

    Args:
        rank: (n,) distinct; the lowest stays.
        fixed: (n,) rows that stay whatever they are near to.
        copies: (p, 2) rows that are exact copies, each with the one that its group keeps.
        search: finds the near ones of those that are no copies.
    """
    n = len(rank)
    rank = rank.astype(row_type(2 * n))
    order = np.where(fixed, rank - n, rank)
    by = np.full(n, NOBODY, dtype=order.dtype)
    for a, b in ((0, 1), (1, 0)):
        goes = ~fixed[copies[:, a]] & (order[copies[:, b]] < order[copies[:, a]])
        by[copies[goes, a]] = copies[goes, b]
    cluster = _decide(order, fixed, by, copies, search)
    gone = np.flatnonzero(by != NOBODY)
    further = by[by[gone]]  # of a copy whose twin goes as well: for what that one goes
    by[gone] = np.where(further == NOBODY, by[gone], further)
    return Verdict(by, cluster)


def _decide(order: Rows, fixed: NDArray[np.bool_], by: Rows, copies: Pairs, search: Search) -> Rows:
    """Fill `by` in rounds: whoever is before all undecided neighbours stays, whoever is near one that stays goes.

    The first round sees all pairs, and returns the clusters (n,) beside.
    """
    memory = _Memory(search)
    here = np.flatnonzero(by == NOBODY)
    stays = fixed.copy()
    first = _Round(order, stays, by)
    cluster = components(len(order), _with(copies, map(first.look, memory(here))))
    first.close(here)
    here = here[first.seen[here]]
    while len(here := here[by[here] == NOBODY]) and not stays[here].all():
        later = _Round(order, stays, by)
        for pairs in memory(here):
            later.look(pairs)
        later.close(here)
    return cluster


def row_type(count: int) -> type[np.int32 | np.int64]:
    """The smallest signed type that has a number for each of `count` rows."""
    return np.int32 if count <= np.iinfo(np.int32).max else np.int64


class _Round:
    """One look at all pairs; changes `stays` and `by` at its end."""

    def __init__(self, order: Rows, stays: NDArray[np.bool_], by: Rows) -> None:
        self._order, self._stays, self._by = order, stays, by
        self._place = np.argsort(order).astype(order.dtype)
        self._nth = np.empty_like(order)
        self._nth[self._place] = np.arange(len(order), dtype=order.dtype)
        self._staying = np.full(len(order), len(order), dtype=order.dtype)
        self._open = np.full(len(order), len(order), dtype=order.dtype)
        self.seen = np.zeros(len(order), dtype=bool)

    def look(self, pairs: Pairs) -> Pairs:
        """Remember the first neighbour of each that stays, and the first that is undecided."""
        for row, other in (pairs.T, pairs.T[::-1]):
            sure = self._stays[other]
            np.minimum.at(self._staying, row[sure], self._nth[other[sure]])
            np.minimum.at(self._open, row[~sure], self._nth[other[~sure]])
            self.seen[row] = True
        return pairs

    def close(self, here: Rows) -> None:
        """Decide what can be decided of `here`."""
        undecided = here[~self._stays[here]]
        near = self._staying[undecided] < len(self._order)
        goes = undecided[near]
        self._by[goes] = self._place[self._staying[goes]]
        left = undecided[~near]
        self._stays[left[self._nth[left] < self._open[left]]] = True


class _Memory:
    """A search that is done once, as long as what it found is not too much to hold."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._held: list[Pairs] | None = None

    def __call__(self, rows: Rows) -> Iterator[Pairs]:
        if self._held is None:
            yield from self._searched(rows)
            return
        wanted = np.zeros(int(max((p.max(initial=0) for p in self._held), default=0)) + 1, dtype=bool)
        wanted[rows[rows < len(wanted)]] = True
        for pairs in self._held:
            yield pairs[wanted[pairs].all(axis=1)]

    def _searched(self, rows: Rows) -> Iterator[Pairs]:
        held: list[Pairs] | None = []
        count = 0
        for pairs in self._search(rows):
            count += len(pairs)
            if held is not None:
                held.append(pairs)
            if count > _HELD:
                held = None
            yield pairs
        self._held = held


def _with(first: Pairs, blocks: Iterator[Pairs]) -> Iterator[Pairs]:
    yield first
    yield from blocks


def copies_of(codes: NDArray[np.int64], rank: Rows) -> Pairs:
    """(p, 2) rows of equal `codes` (n,): each with the lowest rank of its group, in no order."""
    order = np.lexsort((rank, codes))
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = codes[order[1:]] != codes[order[:-1]]
    leaders = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    pairs: Pairs = np.stack([leaders[~starts], order[~starts]], axis=1).astype(np.int64).reshape(-1, 2)
    return pairs
