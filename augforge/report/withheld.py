"""Which images a report never shows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MEASURE = "safety"
STAGE = re.compile(r"\d+-filter-safety")
Flags = NDArray[np.bool_]


def withheld(rows: pa.Table) -> tuple[Flags, Flags]:
    """The images of a ledger that are not shown: (n,) those flagged as unsafe, (n,) those that were never judged.

    Flagged are images that a safety filter dropped, whatever its rule, those that it scored under 0 though they were
    kept, and exact copies of any of them. Where a safety filter judged images of an origin, the others of that origin
    which it never saw (because an earlier stage had dropped them) are not shown either: nobody knows what is on them.
    """
    by_stage = np.array([bool(by and STAGE.fullmatch(by)) for by in rows.column("dropped_by").to_pylist()], dtype=bool)
    origins = np.asarray(pc.index_in(rows.column("origin"), value_set=pc.unique(rows.column("origin"))))
    return withheld_of(by_stage, _scores(rows), rows.column("digest"), origins)


def withheld_of(
    by_stage: Flags, scores: NDArray[np.float64], digests: pa.ChunkedArray, origins: NDArray[np.integer[Any]]
) -> tuple[Flags, Flags]:
    """As `withheld`, of columns (n,): whether a safety filter dropped each, its score (NaN without), its digest, and a
    number for its origin."""
    flagged = _with_copies(by_stage | (scores < 0), digests)
    judged = by_stage | ~np.isnan(scores)
    seen = np.isin(origins, np.unique(origins[judged]))
    return flagged, seen & ~judged & ~flagged


def _scores(rows: pa.Table) -> NDArray[np.float64]:
    found = pc.map_lookup(rows.column("scores"), MEASURE, "first")
    return np.asarray(pc.cast(found, pa.float64()).to_numpy(), dtype=np.float64)


def _with_copies(flagged: Flags, digests: pa.ChunkedArray) -> Flags:
    """As `flagged`, with every image of the same bytes."""
    known = pc.unique(digests.filter(pa.array(flagged)))
    bad = [digest for digest in known.to_pylist() if digest]
    copies: Flags = np.asarray(pc.is_in(digests, value_set=pa.array(bad, pa.string())))
    return np.logical_or(flagged, copies)
