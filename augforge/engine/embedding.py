"""Embeddings: computed once per image and model, stored by the image's digest, shared by all stages.

With a shared store (`augforge.data.vectors`) they are computed once per image ever. While the model works on a
batch, other threads decode and resize the next ones.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.ledger import Indices, Ledger
from augforge.data.preprocessing import DECODING, Preprocessing, decode
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.data.vector_parts import Precision
from augforge.data.vector_rows import VectorRows
from augforge.data.vectors import Vectors, vectors_folder
from augforge.engine.flow import flow
from augforge.engine.ingest import UNREADABLE, Pixels
from augforge.errors import BadImage
from augforge.models import find_model, model_key
from augforge.models.sizes import size_of
from augforge.progress import Progress

BATCH = 64
WORTH_SAYING = 10.0
"""Seconds of embedding after which it is said what held it up."""
MOST_LOADERS = 32
_FOUND = 65_536  # digests that are looked up at a time
Matrix = NDArray[np.float32]
Drop = Callable[[list[str], str], None]
"""Takes the digests of images that cannot be used, and the reason."""
Ready = tuple[list[str], list[Any]]

ADAPTERS = {
    "image-text": "augforge.models.loading:load_embedder",
    "image-embedding": "augforge.models.loading:load_embedder",
    "safety": "augforge.models.loading:load_embedder",
    "classification": "augforge.models.loading:load_classifier",
    "anomaly": "augforge.models.anomaly:AnomalyDetector",
}
"""What loads a model of each task that makes vectors."""


def vectors_key(name: str, task: str = "image-embedding") -> str:
    """What the vectors of the model called `name`, used for `task`, depend on.

    An image-text model makes the same vectors for `image-embedding` and `safety`.
    """
    kind = task if task == "classification" else "embedding"
    return model_key(find_model(name, task), kind, 2, DECODING)[:12]


def stored_vectors(name: str, task: str, store: Store, precision: Precision = "float32") -> Vectors:
    """The vectors of images by the model called `name`: those of the shared store if there is one, else the run's."""
    folder = vectors_folder(store.folder, vectors_key(name, task), precision, store.shared)
    return Vectors(folder, precision, store.say)


@dataclass(slots=True)
class Timing:
    """How an embedding went: `images` in `seconds`, `model` s of them in the model, `decode` s of all loaders."""

    images: int = 0
    seconds: float = 0.0
    model: float = 0.0
    decode: float = 0.0
    loaders: int = 1

    @property
    def bottleneck(self) -> str:
        """What held it up: the model where it was busy nine tenths of the time; the decoding where the loaders were;
        else reading and writing."""
        if self.model >= 0.9 * self.seconds:
            return "the model"
        return "decoding" if self.decode >= 0.75 * self.loaders * self.seconds else "reading and writing"

    def sentence(self) -> str:
        """The same for a reader."""
        rate, busy = self.images / max(self.seconds, 1e-9), 100 * self.model / max(self.seconds, 1e-9)
        return f"{rate:.0f} images/s, held up by {self.bottleneck} (model busy {busy:.0f} %, {self.loaders} loaders)"


class Embedder:
    """One model and the vectors it has made; the model is loaded only if a vector is missing."""

    def __init__(self, name: str, task: str, setting: Embedders) -> None:
        self._row, self._task = find_model(name, task), task
        self._images = stored_vectors(name, task, setting.store, setting.precision)
        self._texts = setting.store.vectors(f"{vectors_key(name, task)}-text")
        self._pixels, self._device, self._progress = setting.pixels, setting.device, setting.progress
        self._model: Any = None
        self.computed = 0
        self.timing = Timing(loaders=loaders())

    def _loaded(self) -> Any:
        if self._model is None:
            module, _, adapter = ADAPTERS[self._task].partition(":")
            with self._progress.loading(self._row.name, size_of(self._row)):
                self._model = getattr(import_module(module), adapter)(self._row, self._device)
        return self._model

    def texts(self, texts: Sequence[str]) -> Matrix:
        """(n, d) embeddings of texts, of unit length."""
        digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in texts}
        missing = set(self._texts.missing(list(digests.values())))
        todo = [text for text, digest in digests.items() if digest in missing]
        if todo:
            vectors = self._loaded().embed_texts(todo)
            with self._texts.writing() as writer:
                writer.add([{"digest": digests[text], "vector": v} for text, v in zip(todo, vectors, strict=True)])
        return self._texts.matrix([digests[text] for text in texts], "vector")

    def images(self, ledger: Ledger, indices: Indices, drop: Drop) -> Matrix:
        """(n, d) embeddings of the samples at `indices`, of unit length.

        An image that can no longer be read goes to `drop` (its digests, the reason), and its row is NaN.
        """
        return self._matrix(self._embedded(ledger, indices, drop))

    def rows(self, ledger: Ledger, indices: Indices, drop: Drop) -> tuple[VectorRows, Indices]:
        """The same embeddings, read by rows: all that are stored, and in which row each one lies, -1 if in none."""
        digests = self._embedded(ledger, indices, drop)
        starts = range(0, len(digests), _FOUND)
        places = [self._images.find(digests[start : start + _FOUND]) for start in starts]
        return self._images.by_rows(), np.concatenate([np.zeros(0, dtype=np.int64), *places])

    def _embedded(self, ledger: Ledger, indices: Indices, drop: Drop) -> list[str]:
        """The digests of the samples at `indices`, all of which are embedded now that can be read."""
        digests = ledger.column("digest", indices)
        self._images.reload()
        missing = set(self._images.missing(digests))
        first = {d: i for d, i in zip(reversed(digests), reversed(indices.tolist()), strict=True) if d in missing}
        if first:
            self._embed(list(ledger.samples(np.array(sorted(first.values())))), drop)
        return digests

    def _matrix(self, digests: Sequence[str]) -> Matrix:
        there = self._images.find(digests) >= 0
        present = self._images.matrix([d for d, found in zip(digests, there, strict=True) if found], "vector")
        vectors = np.full((len(digests), present.shape[1]), np.nan, dtype=np.float32)
        vectors[there] = present
        return vectors

    def _embed(self, samples: Sequence[Sample], drop: Drop) -> None:
        model = self._loaded()
        preprocessing: Preprocessing | None = getattr(model, "preprocessing", None)
        timing, began = self.timing, time.monotonic()

        def load(batch: Sequence[Sample]) -> tuple[Ready, float]:
            start = time.thread_time()
            return self._load(batch, preprocessing, drop), time.thread_time() - start

        def work(loaded: tuple[Ready, float]) -> tuple[list[str], Matrix]:
            (digests, pictures), seconds = loaded
            start = time.monotonic()
            vectors = _vectors(model, preprocessing, pictures)
            timing.model += time.monotonic() - start
            timing.decode += seconds
            return digests, vectors

        with self._progress.bar(f"embed ({self._row.name})", len(samples)) as bar, self._images.writing() as writer:

            def save(made: tuple[list[str], Matrix]) -> None:
                digests, vectors = made
                writer.add([{"digest": d, "vector": v} for d, v in zip(digests, vectors, strict=True)], vectors.nbytes)
                bar.advance(len(digests))

            batches = (samples[start : start + BATCH] for start in range(0, len(samples), BATCH))
            flow(batches, load, work, save, loaders=timing.loaders, ahead=timing.loaders + 2)
        self.computed += len(samples)
        timing.images += len(samples)
        timing.seconds += time.monotonic() - began
        if timing.seconds >= WORTH_SAYING:
            self._progress.say(f"embed ({self._row.name}): {timing.sentence()}")

    def _load(self, batch: Sequence[Sample], preprocessing: Preprocessing | None, drop: Drop) -> Ready:
        """The digests of those that can be read, and what the model sees of them (the images, if it looks itself)."""
        digests, pictures = [], []
        for sample in batch:
            try:
                data = self._pixels.bytes_of(sample)
                picture = (
                    images.decode(data)
                    if preprocessing is None
                    else preprocessing.resize_and_crop(decode(data, preprocessing.min_side))
                )
            except BadImage as error:
                drop([sample.digest], error.message)
            else:
                digests.append(sample.digest)
                pictures.append(picture)
        return digests, pictures


def _vectors(model: Any, preprocessing: Preprocessing | None, pictures: Sequence[Any]) -> Matrix:
    if not len(pictures):
        return np.zeros((0, 0), dtype=np.float32)
    vectors: Matrix = (
        model.embed_images(pictures) if preprocessing is None else model.embed_preprocessed(np.stack(pictures))
    )
    return vectors


def loaders() -> int:
    """Threads that decode: one for each core that this process may use, 2 to 32."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(2, cores), MOST_LOADERS)


@dataclass(slots=True)
class Embedders:
    """The embedders of a run: the last one used is kept, so that one model is in memory at a time."""

    store: Store
    pixels: Pixels
    device: str = "auto"
    progress: Progress = field(default_factory=Progress)
    precision: Precision = "float32"
    _open: dict[tuple[str, str], Embedder] = field(default_factory=dict, repr=False)

    def over(self, pixels: Pixels) -> Embedders:
        """The same for images that lie elsewhere."""
        return replace(self, pixels=pixels, _open={})

    def of(self, name: str, task: str = "image-embedding") -> Embedder:
        """The embedder of the model called `name`, which is loaded only when a vector is missing."""
        if (name, task) not in self._open:
            self._open = {(name, task): Embedder(name, task, self)}
        return self._open[name, task]


def dropper(ledger: Ledger, title: str) -> Drop:
    """What a stage calls for images that it could not read: digests, reason."""

    def drop(digests: list[str], reason: str) -> None:
        gone = set(digests)
        indices = [i for i, digest in enumerate(ledger.column("digest")) if digest in gone and ledger.kept[i]]
        ledger.drop(np.array(indices, dtype=np.int64), UNREADABLE + reason, title)

    return drop
