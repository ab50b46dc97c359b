"""The stored embeddings of a run: which samples have one, and the nearest to a vector among any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import BLOCK_ROWS, RowsAt
from augforge.data.store import Store
from augforge.data.texts import bytes_of
from augforge.data.vector_rows import VectorRows
from augforge.data.vectors import Vectors, shared_store
from augforge.engine.embedding import stored_vectors
from augforge.errors import AugforgeError
from augforge.models import find_model
from augforge.recipe import Recipe
from augforge.report.layout import embedding_models
from augforge.view.index import Index
from augforge.view.plane import Plane, plane_of

Rows = NDArray[np.int64]

MUCH = 4
"""Times as many vectors as are asked about: a store with more is read row by row."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings by one model of m samples: their `rows` (m,), rising, and `places` (m,) in the store of vectors.

    `cache` is the file beside which what is computed of them is kept.
    """

    name: str
    task: str
    rows: NDArray[np.int32]
    reader: VectorRows
    places: Rows
    cache: Path

    @property
    def text_task(self) -> str | None:
        """The task for which the model is loaded to embed texts into the same space; None where it cannot."""
        try:
            find_model(self.name, "image-text")
        except AugforgeError:
            return None
        return "image-text"

    def of(self, row: int) -> NDArray[np.float32] | None:
        """(d,) the vector of a row, None where none is stored."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or self.rows[at] != row:
            return None
        return np.asarray(self.vectors.read(np.array([at]))[0], dtype=np.float32)

    def nearest(self, vector: NDArray[np.float32], among: Rows | None, top: int) -> tuple[Rows, NDArray[np.float32]]:
        """The `top` rows nearest to a vector (d,), the nearest first, and their cosines; of equals the first row.

        Args:
            vector: of unit length, as the stored ones are.
            among: the rows (k,) that may be found; all if None.
            top: how many, at most.
        """
        places = np.arange(len(self.rows)) if among is None else np.flatnonzero(np.isin(self.rows, among))
        scores = self._cosines(vector, places)
        chosen = np.arange(len(scores))
        if top < len(scores):
            cut = np.partition(scores, len(scores) - top)[len(scores) - top]
            chosen = np.flatnonzero(scores >= cut)
        order = chosen[np.argsort(-scores[chosen], kind="stable")][:top]
        return self.rows[places[order]].astype(np.int64), scores[order]

    def _cosines(self, vector: NDArray[np.float32], places: Rows) -> NDArray[np.float32]:
        """(k,) of the vectors at `places` (k,). The store is gone through as it lies, unless much else is in it."""
        if self.reader.shape[0] <= MUCH * len(places):
            return self.reader.products(vector)[self.places[places]]
        parts = (places[start : start + BLOCK_ROWS] for start in range(0, len(places), BLOCK_ROWS))
        each = [self.vectors.read(part).astype(np.float32, copy=False) @ vector for part in parts]
        return np.concatenate([np.zeros(0, dtype=np.float32), *each])

    @property
    def vectors(self) -> RowsAt:
        """The vectors (m, d) of these samples, to be read by rows."""
        return RowsAt(self.reader, self.places)

    def plane(self) -> Plane | None:
        """The map of these samples, computed once; None of fewer than three."""
        if len(self.rows) < 3:
            return None
        path = self.cache.with_suffix(".plane.npz")
        if not path.is_file():
            made = plane_of(self.vectors, self.rows)
            _save(path, places=made.places, explained=np.array(made.explained), order=made.order)
        with np.load(path) as kept:
            first, second = kept["explained"].tolist()
            return Plane(self.rows, kept["places"], (first, second), kept["order"])


def embedded(index: Index, recipe: Recipe, cache: Path) -> Embedded | None:
    """The embeddings by the model of the recipe that has embedded most of the images; None if none are stored."""
    best: Embedded | None = None
    store = Store(index.folder, shared=shared_store())
    for name, task in embedding_models(recipe):
        try:
            vectors = stored_vectors(name, task, store)
        except AugforgeError:  # a model that is no longer there has no vectors that could be found
            continue
        found = _found(index, vectors, cache)
        if len(found.rows) > (0 if best is None else len(best.rows)):
            best = Embedded(name, task, found.rows, vectors.by_rows(), found.places, found.path)
    return best


@dataclass(frozen=True, slots=True)
class _Found:
    rows: NDArray[np.int32]
    places: Rows
    path: Path


def _found(index: Index, vectors: Vectors, cache: Path) -> _Found:
    """The rows that have a vector, and the places of these, looked up once for the parts that there are."""
    parts = sorted(path.name for path in vectors.folder.glob("*.arrow"))
    stamp = hashlib.sha256("\n".join([index.revision, str(vectors.folder.resolve()), *parts]).encode()).hexdigest()[:12]
    path = cache / f"vectors-{vectors.folder.name}-{stamp}.npz"
    if not path.is_file():
        for old in cache.glob(f"vectors-{vectors.folder.name}-*"):
            old.unlink(missing_ok=True)
        _save(path, places=_looked_up(index, vectors.find))
    with np.load(path) as kept:
        places = kept["places"]
    rows = np.flatnonzero(places >= 0).astype(np.int32)
    return _Found(rows, places[rows], path)


def _looked_up(index: Index, find: Callable[[NDArray[np.bytes_]], Rows]) -> Rows:
    """(n,) where the vector of each row lies, -1 without one."""
    found: list[Rows] = [np.zeros(0, dtype=np.int64)]
    for batch in index.texts.batches(["digest"]):
        digests = bytes_of(batch.column(0).fill_null(""))
        found.append(find(digests) if digests.dtype.itemsize else np.full(len(digests), -1, dtype=np.int64))
    return np.concatenate(found)


def _save(path: Path, **arrays: Any) -> None:
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **arrays)
    temporary.rename(path)
