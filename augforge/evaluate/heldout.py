"""Images to judge by: a test set, or shift sets, read from any source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import Sample, is_evaluation
from augforge.data.store import Store
from augforge.engine.ingest import read_sources, say_what_is_bad
from augforge.engine.pixels import Pixels
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.base import SPLITS
from augforge.progress import Progress
from augforge.recipe import SourceSpec

FAMILY = "family"


@dataclass(frozen=True)
class HeldOut:
    """Images that no arm trains on, of which the answers are known: `rows` (n,) of `ledger`.

    `labels` (n,) are numbers of the run's classes, -1 where a task needs none. `families` (n,) name the family of
    shifts that each shows; () of a test set.
    """

    source: str
    ledger: Ledger
    rows: Indices
    labels: NDArray[np.int64]
    pixels: Pixels
    families: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def about(self) -> dict[str, Any]:
        """How many `images` these are, and how many of each of the `splits` that their source has."""
        splits = Counter(split for split in self.ledger.column("split", self.rows) if split)
        return {"images": len(self), "splits": dict(sorted(splits.items()))}

    def where(self, known: NDArray[np.bool_], answer: str = "label") -> HeldOut:
        """Those of them whose answer is known (n,); SourceError, which says what an `answer` is, if none is."""
        if not known.any():
            hint = "is it the right source, split, and --task?"
            raise SourceError(f"{self.source} holds no image with a {answer} to judge by", hint)
        families = tuple(family for family, keep in zip(self.families, known.tolist(), strict=False) if keep)
        return replace(self, rows=self.rows[known], labels=self.labels[known], families=families)


def read_test(text: str, split: str | None, store: Store, progress: Progress) -> HeldOut:
    """The real images of a source, whatever is known of them: of its evaluation splits if it has any, else all."""
    ledger, pixels = _read(text, split, store, progress)
    rows = ledger.visible("real")
    evaluation = np.array([is_evaluation(name) for name in ledger.column("split", rows)], dtype=bool)
    rows = rows[evaluation] if evaluation.any() else rows
    return HeldOut(text, ledger, rows, np.full(len(rows), -1), pixels)


def read_shifts(text: str, store: Store, progress: Progress) -> HeldOut:
    """The images of a source that say of which family of shifts they are: what `augforge generate shifts` made.

    Its run folder and dataset say so in every image's sampled parameters; another source may have a split for every
    family.

    Raises:
        SourceError: no image says so.
    """
    ledger, pixels = _read(text, None, store, progress)
    visible = ledger.visible()
    families = [_drawn(sample) or "" for sample in ledger.samples(visible)]
    if not any(families):
        families = [name if name not in SPLITS.values() else "" for name in _splits(ledger, visible)]
    shifted = np.array([bool(family) for family in families], dtype=bool)
    if not shifted.any():
        hint = "give a run folder of `augforge generate shifts`, or a source whose splits are the families"
        raise SourceError(f"--on-shifts {text}: no image says of which family of shifts it is", hint)
    rows = visible[shifted]
    return HeldOut(text, ledger, rows, np.full(len(rows), -1), pixels, tuple(filter(None, families)))


def _drawn(sample: Sample) -> str | None:
    """The family that a sample's sampled parameters name."""
    own = sample.sampled_params.get(FAMILY)
    return None if own is None else str(own)


def _splits(ledger: Ledger, rows: Indices) -> list[str]:
    return [split or "" for split in ledger.column("split", rows)]


def _read(text: str, split: str | None, store: Store, progress: Progress) -> tuple[Ledger, Pixels]:
    kind, value = detect(text)
    options: dict[str, Any] = {} if split is None else {"split": split}
    source = open_source(kind, value, **options)
    ledger, _ = read_sources([source], store, progress)
    say_what_is_bad(ledger, progress)
    return ledger, Pixels([source], (SourceSpec(kind, value, options),))
