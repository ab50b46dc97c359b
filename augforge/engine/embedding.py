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
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import RowsAt
from augforge.data import images
from augforge.data.ledger import Indices, Ledger
from augforge.data.preprocessing import DECODING, Preprocessing, decode
from augforge.data.store import Store
from augforge.data.vector_parts import Precision
from augforge.data.vectors import Vectors, vectors_folder
from augforge.engine.engines.local import Local
from augforge.engine.ingest import UNREADABLE
from augforge.engine.pixels import Located, Pixels, located
from augforge.engine.rows import OfDigests, drop_all
from augforge.engine.work import Engine, Made, Maker, Place, Refused
from augforge.errors import BadImage, ModelError
from augforge.models import Model, find_model, model_key
from augforge.models.find import ways_to_name
from augforge.models.sizes import size_of
from augforge.progress import Progress

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
    "classification-of-views": "augforge.models.views:ClassifierOfViews",
    "text-detection": "augforge.models.text_detectors:TextDetector",
    "edges": "augforge.models.edge_maps:EdgeMaps",
}
"""What loads a model of each task that makes vectors."""
TASKS_OF = {"classification-of-views": "classification"}
"""The task of the model table, where a model is asked in another way than that."""


def vectors_key(name: str, task: str = "image-embedding") -> str:
    """What the vectors of the model called `name`, used for `task`, depend on.

    An image-text model makes the same vectors for `image-embedding` and `safety`.
    """
    kind = task if task.startswith("classification") else "embedding"
    return model_key(row_of(name, task), kind, 2, DECODING)[:12]


def row_of(name: str, task: str) -> Model:
    """The row of the model called `name` that makes vectors for `task`, one of `ADAPTERS`."""
    return find_model(name, TASKS_OF.get(task, task))


def stored_vectors(name: str, task: str, store: Store, precision: Precision = "float32") -> Vectors:
    """The vectors of images by the model called `name`: those of the shared store if there is one, else the run's."""
    folder = vectors_folder(store.folder, vectors_key(name, task), precision, store.shared)
    return Vectors(folder, precision, store.say)


@dataclass(slots=True)
class Timing:
    """How an embedding went: `images` in `seconds`, loading the model not counted; `model` s of them in the model,
    `decode` s of all loaders."""

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
        busy = 100 * self.model / max(self.seconds, 1e-9)
        why = f"the model was busy {busy:.0f} % of the time, {self.loaders} loaders"
        return f"{self.images:,} images in {self.seconds:,.0f} s of embedding, held up by {self.bottleneck} ({why})"


class Embedder:
    """One model and the vectors it has made; the model is loaded only if a vector is missing."""

    def __init__(self, name: str, task: str, setting: Embedders) -> None:
        self._row, self._task = row_of(name, task), task
        self._images = stored_vectors(name, task, setting.store, setting.precision)
        self._texts = setting.store.vectors(f"{vectors_key(name, task)}-text")
        self._pixels, self._device, self._progress = setting.pixels, setting.device, setting.progress
        self._engine = setting.engine
        self._model: Any = None
        self.computed = 0
        self.timing, self._began = Timing(loaders=loaders()), 0.0

    def _loaded(self) -> Any:
        if self._model is None:
            self._model = load_adapter(self._row.name, self._task, self._device, self._progress)
        return self._model

    def _maker(self) -> EmbeddingMaker:
        model = self._loaded()
        self._began = time.monotonic()
        return EmbeddingMaker(model, self._pixels, self.timing)

    def texts(self, texts: Sequence[str]) -> Matrix:
        """(n, d) embeddings of texts, of unit length."""
        digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in texts}
        missing = set(self._texts.missing(list(digests.values())))
        todo = [text for text, digest in digests.items() if digest in missing]
        if todo:
            if not hasattr(self._loaded(), "embed_texts"):
                raise ModelError(f"{self._row.name!r} embeds no texts", ways_to_name("image-text"))
            vectors = self._loaded().embed_texts(todo)
            with self._texts.writing() as writer:
                writer.add([{"digest": digests[text], "vector": v} for text, v in zip(todo, vectors, strict=True)])
        return self._texts.matrix([digests[text] for text in texts], "vector")

    def images(self, ledger: Ledger, indices: Indices, drop: Drop) -> Matrix:
        """(n, d) embeddings of the samples at `indices`, of unit length.

        An image that can no longer be read goes to `drop` (its digests, the reason), and its row is NaN.
        """
        return self._matrix(self._embedded(ledger, indices, drop))

    def embed(self, ledger: Ledger, indices: Indices, drop: Drop) -> int:
        """Embed the samples at `indices` as far as they have no embedding; of how many numbers one is (0 without)."""
        self._embedded(ledger, indices, drop)
        return self._images.width

    def rows(self, digests: Sequence[str]) -> RowsAt:
        """The embeddings of images that have one, by their digests: read by rows, from where they are stored."""
        starts = range(0, len(digests), _FOUND)
        places = [self._images.find(digests[start : start + _FOUND]) for start in starts]
        return RowsAt(self._images.by_rows(), np.concatenate([np.zeros(0, dtype=np.int64), *places]))

    def _embedded(self, ledger: Ledger, indices: Indices, drop: Drop) -> list[str]:
        """The digests of the samples at `indices`, all of which are embedded now that can be read."""
        digests = ledger.column("digest", indices)
        self._images.reload()
        missing = set(self._images.missing(digests))
        first = {d: i for d, i in zip(reversed(digests), reversed(indices.tolist()), strict=True) if d in missing}
        if first:
            self._embed(ledger, np.array(sorted(first.values()), dtype=np.int64), drop)
        return digests

    def _matrix(self, digests: Sequence[str]) -> Matrix:
        there = self._images.find(digests) >= 0
        present = self._images.matrix([d for d, found in zip(digests, there, strict=True) if found], "vector")
        vectors = np.full((len(digests), present.shape[1]), np.nan, dtype=np.float32)
        vectors[there] = present
        return vectors

    def _embed(self, ledger: Ledger, todo: Indices, drop: Drop) -> None:
        work = Embedding(f"embed ({self._row.name})", self._row.name, self._task, loaders=loaders())
        place, self._began = Place(self._pixels, self._device, self._progress, self._maker), time.monotonic()
        refused = self._engine.run(work, located(ledger, todo), len(todo), self._images, place)
        drop_all(refused.dropped, drop)
        self.computed += len(todo)
        timing = self.timing
        timing.images += len(todo)
        timing.seconds += time.monotonic() - self._began
        if timing.seconds >= WORTH_SAYING and timing.decode:
            self._progress.say(f"{work.title}: {timing.sentence()}")


@dataclass(frozen=True)
class Embedding(OfDigests):
    """Embeds images of different digests."""

    title: str
    model: str
    task: str
    loaders: int = 2
    per_unit: int = 256
    uses_device: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return EmbeddingMaker(load_adapter(self.model, self.task, device, progress), pixels, Timing())

    def models(self) -> Sequence[tuple[str, str]]:
        """As `Work.models`."""
        return [(self.model, TASKS_OF.get(self.task, self.task))]


class EmbeddingMaker(Maker):
    """Embeds images with a model: loading decodes and resizes."""

    def __init__(self, model: Any, pixels: Pixels, timing: Timing) -> None:
        self._model, self._pixels, self._timing = model, pixels, timing
        self._preprocessing: Preprocessing | None = getattr(model, "preprocessing", None)
        self.facts = {}

    def load(self, batch: Sequence[Located]) -> tuple[Ready, dict[str, str], float]:
        """What the model sees of those that can be read, and why it does not see the others."""
        start, preprocessing = time.thread_time(), self._preprocessing
        digests, pictures, dropped = [], [], {}
        for sample in batch:
            try:
                data = self._pixels.bytes_of(sample)
                picture = (
                    images.decode(data)
                    if preprocessing is None
                    else preprocessing.resize_and_crop(decode(data, preprocessing.min_side))
                )
            except BadImage as error:
                dropped[sample.digest] = error.message
            else:
                digests.append(sample.digest)
                pictures.append(picture)
        return (digests, pictures), dropped, time.thread_time() - start

    def make(self, loaded: tuple[Ready, dict[str, str], float]) -> Made:
        """Their vectors."""
        (digests, pictures), dropped, seconds = loaded
        start = time.monotonic()
        vectors = _vectors(self._model, self._preprocessing, pictures)
        self._timing.model += time.monotonic() - start
        self._timing.decode += seconds
        rows = [{"digest": d, "vector": v} for d, v in zip(digests, vectors, strict=True)]
        return Made(rows, vectors.nbytes, Refused(dropped))

    def rows(self, made: Made) -> Made:
        """As they are."""
        return made


def load_adapter(name: str, task: str, device: str, progress: Progress) -> Any:
    """The model called `name`, loaded for `task`; told to `progress`."""
    row = row_of(name, task)
    module, _, adapter = ADAPTERS[task].partition(":")
    with progress.loading(row.name, size_of(row)):
        return getattr(import_module(module), adapter)(row, device)


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
    engine: Engine = field(default_factory=Local)
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
        indices = ledger.all_with("digest", digests)
        ledger.drop(indices[ledger.kept[indices]], UNREADABLE + reason, title)

    return drop
