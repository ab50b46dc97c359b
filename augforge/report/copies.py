"""Which image each generated one is nearest to, of its parents and the training images: the copies to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.nearest import read_all_nearest


@dataclass(frozen=True, slots=True)
class Copy:
    """A ledger row and the row that it is nearest to: a "parent" of it or another of the "training" set, and the
    similarity, a cosine in [-1, 1], that the `stage` found."""

    row: int
    other: int
    relation: str
    similarity: float
    stage: str


def copies_of(folder: Path, rows: pa.Table, hidden: NDArray[np.bool_]) -> list[Copy]:
    """The pairs that `nearest.parquet` names, the most similar first.

    Those with an image that is not shown, or that is no sample of this run, are left out.
    """
    found = read_all_nearest(folder)
    places = {identity: row for row, identity in enumerate(rows.column("id").to_pylist())} if found else {}
    pairs = [
        Copy(places[near["id"]], places[near["nearest"]], near["relation"], near["similarity"], near["stage"])
        for near in found
        if near["id"] in places and near["nearest"] in places
    ]
    shown = [pair for pair in pairs if not (hidden[pair.row] or hidden[pair.other])]
    return sorted(shown, key=lambda pair: (-pair.similarity, pair.row))
