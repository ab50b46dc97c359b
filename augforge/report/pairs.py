"""Which images went as near-duplicates of which, read from the reasons in the ledger."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import pyarrow as pa

NEAR = re.compile(r"(near-duplicate|exact copy|near-copy) of (?:its parent )?([0-9a-f]{8,64})\b")
"""A reason of `filter: duplicates` that names another sample by the start of its id."""


def pairs_of(rows: pa.Table) -> list[tuple[int, int]]:
    """Pairs of ledger rows: one that went, and the one that it nearly is.

    Exact copies of an image with the same label are left out: nobody can tell them apart. So are references that are
    no samples of this run, and beginnings of an id that several samples have.
    """
    ids, labels = rows.column("id").to_pylist(), rows.column("label").to_pylist()
    named = list(_named(rows.column("dropped").to_pylist()))
    places = _places(ids, {start for _, _, start in named})
    found = []
    for row, kind, start in named:
        others = [other for other in places[start] if other != row]
        if len(others) == 1 and (kind != "exact copy" or labels[row] != labels[others[0]]):
            found.append((row, others[0]))
    return found


def _named(reasons: list[str | None]) -> Iterator[tuple[int, str, str]]:
    """The row, what it is of the other, and the start of the other's id."""
    for row, reason in enumerate(reasons):
        if reason and (match := NEAR.search(reason)):
            yield row, match[1], match[2]


def _places(ids: list[str], starts: set[str]) -> dict[str, list[int]]:
    """The rows whose id begins with each of `starts`."""
    lengths = {len(start) for start in starts}
    places: dict[str, list[int]] = defaultdict(list)
    for row, identity in enumerate(ids):
        for length in lengths:
            if identity[:length] in starts:
                places[identity[:length]].append(row)
    return places
