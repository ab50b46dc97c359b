"""Rows that are computed once an image: which images lack them, and how they are made and committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import Sample
from augforge.data.store import Parts
from augforge.engine.flow import flow
from augforge.progress import Progress

BATCH = 64
Item = TypeVar("Item")
Rows = list[dict[str, Any]]


def without_rows(ledger: Ledger, indices: Indices, parts: Parts) -> list[Sample]:
    """Of the samples at `indices` one for each digest that has no row in `parts`, in the ledger's order."""
    digests = ledger.column("digest", indices)
    missing = set(parts.missing(digests))
    todo: Mapping[str, int] = {d: i for d, i in zip(digests, indices.tolist(), strict=True) if d in missing}
    return list(ledger.samples(np.array(sorted(todo.values()), dtype=np.int64)))


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
