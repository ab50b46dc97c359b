"""Who came from whom, as rows: the parents of each sample, and its children."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]


def child_lists(
    counts: NDArray[np.int64], parents: NDArray[np.bytes_], ids: NDArray[np.bytes_], order: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Parents and children as lists one after the other, with where each row's begin.

    Args:
        counts: (n,) how many parents each row has.
        parents: (m,) their ids, row after row.
        ids: (n,) the ids of all rows, sorted.
        order: (n,) the row of each of them.

    Returns:
        `parents` and `children` (rows; parents that are not in the ledger are left out, and each child stands once
        for a parent), and `parent_starts`, `child_starts` (n + 1,).
    """
    children = np.repeat(np.arange(len(counts)), counts)
    wide = max(parents.dtype.itemsize, ids.dtype.itemsize)
    known, asked = ids.astype(f"S{wide}"), parents.astype(f"S{wide}")
    at = np.searchsorted(known, asked)
    there = (at < len(known)) & (known[np.minimum(at, max(0, len(known) - 1))] == asked) if len(known) else at < 0
    children, found = children[there], order[at[there]]
    pairs = np.unique(np.stack([found, children], axis=1), axis=0) if len(found) else np.zeros((0, 2), dtype=np.int64)
    return {
        "parents": found.astype(np.int32),
        "parent_starts": _starts(np.bincount(children, minlength=len(counts))),
        "children": pairs[:, 1].astype(np.int32),
        "child_starts": _starts(np.bincount(pairs[:, 0], minlength=len(counts))),
    }


def _starts(counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return starts
