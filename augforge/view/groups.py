"""Groups of near-duplicates: samples that went as copies, with those that they are copies of."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.report.pairs import NEAR
from augforge.view.index import Index

Rows = NDArray[np.int64]

_KIND = re.compile(r"(near-duplicate|exact copy|near-copy) of ")


@dataclass(frozen=True, slots=True)
class Groups:
    """`rows` (m,) group after group, in each the kept ones first; `starts` (g + 1,) where each begins."""

    rows: Rows
    starts: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, number: int) -> Rows:
        """The rows of a group."""
        return self.rows[int(self.starts[number]) : int(self.starts[number + 1])]

    def number(self, row: int) -> int | None:
        """The group of a row; None if it is in none."""
        at = np.flatnonzero(self.rows == row)
        return int(np.searchsorted(self.starts, at[0], "right")) - 1 if len(at) else None


def groups_of(index: Index) -> Groups:
    """The groups of a run, the largest first, of equal ones that with the first row.

    A reason names another sample by the start of its id; one that several samples have, or none of this run, is left
    out.
    """
    kinds = np.array([bool(_KIND.search(kind)) for kind in index.values["reason"]] + [False], dtype=bool)
    candidates = np.flatnonzero(kinds[index.column("reason")])
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(candidates), 65_536):
        part = candidates[start : start + 65_536]
        for row, texts in zip(part.tolist(), index.texts.take(part, ["dropped"]), strict=True):
            match = NEAR.search(texts["dropped"] or "")
            others = [other for other in index.starting_with(match[2]).tolist() if other != row] if match else []
            if len(others) == 1:
                pairs.append((row, others[0]))
    return _joined(np.array(pairs, dtype=np.int64).reshape(-1, 2), index.column("kept"))


def _joined(pairs: NDArray[np.int64], kept: NDArray[np.bool_]) -> Groups:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, places = np.unique(pairs, return_inverse=True)
    first, second = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(len(rows), len(rows)))
    count, members = connected_components(graph, directed=False) if len(rows) else (0, rows)
    sizes = np.bincount(members, minlength=count)
    firsts = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(firsts, members, rows)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.lexsort((firsts, -sizes))] = np.arange(count)
    order = np.lexsort((rows, ~kept[rows], ranks[members])) if count else rows
    starts = np.concatenate([[0], np.cumsum(np.sort(sizes)[::-1])]).astype(np.int64)
    return Groups(rows[order], starts)
