"""Run the filter `duplicates`: look at every image once, gather what is near, decide over all, give reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.duplicates.crops import HARDLY, SMALLEST, overlap
from augforge.duplicates.evidence import NOBODY, Rows, Search, copies_of, settle
from augforge.duplicates.hashes import NO_STRUCTURE, SIDE, Hashes, Small, look, mirrored
from augforge.duplicates.pairs import Pairs, pair_blocks
from augforge.engine.ingest import Pixels, open_sources, read_sources
from augforge.engine.judge import Embedders, dropper
from augforge.errors import BadImage
from augforge.filters.duplicates import Duplicates
from augforge.flow import flow
from augforge.formats import detect, open_source
from augforge.ids import key
from augforge.ledger import Indices, Ledger
from augforge.progress import Progress
from augforge.recipe import SourceSpec
from augforge.sample import Sample, is_evaluation
from augforge.select.neighbours import nearest
from augforge.select.points import Likeness
from augforge.store import Parts, Store

BATCH = 64
SURE = 7
"""Hashes that differ in no more bits than this are near whatever the pictures look like."""
NEIGHBOURS = 20
LOOKS = pa.schema([("digest", pa.string()), ("hash", pa.uint64()), ("small", pa.binary(SIDE * SIDE))])
DISTANCE = "duplicate-distance"


def run_duplicates(
    stage: Duplicates, title: str, ledger: Ledger, embedders: Embedders, progress: Progress
) -> dict[str, int]:
    """Drop copies of references, memorised parents and duplicates; score the bits to the nearest."""
    parts = look_parts(embedders.store)
    others, read = _references(stage, embedders.store, progress)
    known = _wanted(ledger)
    seen = 0 if stage.by == "exact" else _look(ledger, known, parts, embedders.pixels, dropper(ledger, title), progress)
    if stage.by != "exact":
        seen += _look(others.ledger, others.indices, parts, others.pixels, others.drop, progress)
    crowd = _Crowd(stage, ledger, ledger.visible(), others, parts)
    before = embedders.of(stage.model).computed if stage.by == "embedding" else 0
    near = _near_vectors(crowd, embedders, dropper(ledger, title)) if stage.by == "embedding" else None
    computed = embedders.of(stage.model).computed - before if stage.by == "embedding" else 0
    _drop(crowd, title, near, progress)
    return {"measured": seen + computed + read, "reused": max(0, len(known) - seen)}


def look_parts(store: Store) -> Parts:
    """Where hashes and small grey pictures lie, by digest: about 1.1 kB an image."""
    return store.parts("look-1", LOOKS, by="digest")


def against_key(stage: Duplicates) -> str:
    """What the result depends on beside the run's own sources: the entries of `against`, "" without it."""
    if stage.against is None:
        return ""
    source = open_source(*detect(stage.against))
    return key("against", source.where, [[entry.locator, entry.stamp] for entry in source.entries()])


@dataclass(frozen=True, slots=True)
class _Others:
    """The images of `against`: a ledger of their own, of which `indices` can be used."""

    ledger: Ledger
    indices: Indices
    pixels: Pixels
    drop: Any


def _references(stage: Duplicates, store: Store, progress: Progress) -> tuple[_Others, int]:
    """The references, and how many had to be read."""
    if stage.against is None:
        nothing = Ledger()
        return _Others(nothing, nothing.visible(), Pixels([]), dropper(nothing, "against")), 0
    kind, value = detect(stage.against)
    source = open_source(kind, value)
    ledger, read = read_sources([source], store, progress)
    if bad := len(ledger) - len(ledger.visible()):
        progress.say(f"duplicates: {bad} images of {stage.against} cannot be used")
    pixels = Pixels([source], (SourceSpec(kind, value),))
    return _Others(ledger, ledger.visible(), pixels, dropper(ledger, "against")), read


def _wanted(ledger: Ledger) -> Indices:
    """The kept samples, and the parents of kept ones."""
    visible = ledger.visible()
    parents = {parent for parents in ledger.column("parents", visible) for parent in parents}
    if not parents:
        return visible
    there = np.fromiter((identity in parents for identity in ledger.column("id")), dtype=bool, count=len(ledger))
    readable = np.array([bool(digest) for digest in ledger.column("digest")])
    found: Indices = np.union1d(visible, np.flatnonzero(there & readable))
    return found


def _look(ledger: Ledger, indices: Indices, parts: Parts, pixels: Pixels, drop: Any, progress: Progress) -> int:
    """Hash and shrink the images that no one has looked at; how many these were."""
    digests = ledger.column("digest", indices)
    missing = set(parts.missing(digests))
    todo = {digest: i for digest, i in zip(digests, indices.tolist(), strict=True) if digest in missing}
    if todo:
        _look_at(list(ledger.samples(np.array(sorted(todo.values())))), parts, pixels, drop, progress)
    return len(todo)


def _look_at(samples: Sequence[Sample], parts: Parts, pixels: Pixels, drop: Any, progress: Progress) -> None:
    def see(batch: Sequence[Sample]) -> list[dict[str, Any]]:
        rows = []
        for sample in batch:
            try:
                small, found = look(pixels.bytes_of(sample))
                rows.append({"digest": sample.digest, "hash": found, "small": small.tobytes()})
            except BadImage as error:
                drop([sample.digest], error.message)
        return rows

    with progress.bar("hash", len(samples)) as bar, parts.writing() as writer:

        def save(rows: list[dict[str, Any]]) -> None:
            writer.add(rows)
            bar.advance(len(rows))

        flow((samples[start : start + BATCH] for start in range(0, len(samples), BATCH)), see, lambda r: r, save)
