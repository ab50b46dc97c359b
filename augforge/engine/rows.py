"""Rows that are computed once an image: which images lack them, and the work that makes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augforge.data.ledger import Indices, Ledger
from augforge.data.store import Parts
from augforge.engine.engines.local import Local
from augforge.engine.pixels import Located, Pixels, located
from augforge.engine.work import Engine, Made, Maker, Place, Refused, Work
from augforge.progress import Progress


def without_rows(ledger: Ledger, indices: Indices, parts: Parts) -> Indices:
    """Of the samples at `indices` one for each digest that has no row in `parts`, in the ledger's order."""
    digests = ledger.column("digest", indices)
    missing = np.flatnonzero(parts.find(digests) < 0)
    todo = {digests[place]: int(indices[place]) for place in missing.tolist()}
    return np.array(sorted(todo.values()), dtype=np.int64)


def look_at(
    work: OfDigests, ledger: Ledger, todo: Indices, parts: Parts, place: Place, engine: Engine | None = None
) -> Refused:
    """Make the rows of the samples at `todo`, which are of different digests; why there are none of some."""
    return (engine or Local()).run(work, located(ledger, todo), len(todo), parts, place)


class Looks(Maker):
    """Makes rows by `look`, which reads the images of a batch, in several threads at once."""

    def __init__(self, look: Callable[[Sequence[Any]], Made]) -> None:
        self._look = look

    def load(self, batch: Sequence[Any]) -> Made:
        """The rows themselves: there is no model to wait for."""
        return self._look(batch)

    def rows(self, made: Made) -> Made:
        """As they are."""
        return made


@dataclass(frozen=True)
class OfDigests(Work[Located], ABC):
    """What is measured of images of different digests, by which the rows are found."""

    title: str

    def lost(self, items: Sequence[Located], why: str) -> Made:
        """As `Work.lost`: they are dropped."""
        return Made([], refused=Refused({sample.digest: why for sample in items}))


class Look(OfDigests):
    """What is measured of images without a model: all is done while they are read, in several threads at once."""

    @abstractmethod
    def look(self, samples: Sequence[Located], pixels: Pixels) -> Made:
        """The rows of some samples."""

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return Looks(lambda batch: self.look(batch, pixels))


def drop_all(reasons: Mapping[str, str], drop: Callable[[list[str], str], None]) -> None:
    """Tell `drop` the digests that have each reason."""
    by_reason: dict[str, list[str]] = {}
    for digest, reason in reasons.items():
        by_reason.setdefault(reason, []).append(digest)
    for reason, digests in by_reason.items():
        drop(digests, reason)
