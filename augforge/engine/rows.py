"""Rows that are computed once an image: which images lack them, and how they are made and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, overload

import numpy as np

from augforge.data.key_index import PIECE
from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import Sample
from augforge.data.store import Parts
from augforge.engine.flow import flow
from augforge.progress import Progress

BATCH = 64
Item = TypeVar("Item")
Rows = list[dict[str, Any]]


class Waiting(Sequence[Sample]):
    """The samples at `indices` of a ledger, read when they are asked for."""

    def __init__(self, ledger: Ledger, indices: Indices) -> None:
        self._ledger, self._indices = ledger, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Sample]:
        return self._ledger.samples(self._indices)

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...

    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return Waiting(self._ledger, self._indices[place])
        return next(self._ledger.samples(self._indices[[place]]))


def without_rows(ledger: Ledger, indices: Indices, parts: Parts) -> Sequence[Sample]:
    """Of the samples at `indices` one for each digest that has no row in `parts`, in the ledger's order."""
    todo: dict[bytes, int] = {}
    for start in range(0, len(indices), PIECE):
        part = indices[start : start + PIECE]
        digests = ledger.texts("digest", part)
        missing = parts.find(digests) < 0
        todo |= zip(digests[missing].tolist(), part[missing].tolist(), strict=True)
    return Waiting(ledger, np.array(sorted(todo.values()), dtype=np.int64))


def compute_rows(
    title: str, items: Sequence[Item], look: Callable[[Sequence[Item]], Rows], parts: Parts, progress: Progress
) -> None:
    """Let `look` make the rows of every item, a batch at a time in other threads, and commit them as they come."""
    if not items:
        return
    waiting = iter(items)
    batches: Iterable[Sequence[Item]] = iter(lambda: list(islice(waiting, BATCH)), [])
    with progress.bar(title, len(items)) as bar, parts.writing() as writer:

        def save(rows: Rows) -> None:
            writer.add(rows)
            bar.advance(len(rows))

        flow(batches, look, lambda rows: rows, save)
