"""Embeddings: computed once per image and model, stored by the image's digest, shared by all stages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge import images
from augforge.engine.ingest import Pixels
from augforge.errors import BadImage
from augforge.flow import flow
from augforge.ledger import Indices, Ledger
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.sample import Sample
from augforge.store import Store

if TYPE_CHECKING:
    from augforge.models.image_text import ImageText

BATCH = 64
Vectors = NDArray[np.float32]
Ready = tuple[list[str], list[Image.Image]]


def vectors_key(name: str) -> str:
    """What the vectors of the image-text model called `name` depend on."""
    return model_key(find_model(name, "image-text"), "image-text", 1)[:12]


class Embedder:
    """One image-text model and the vectors it has made; the model is loaded only if a vector is missing."""

    def __init__(self, name: str, store: Store, pixels: Pixels, device: str, progress: Progress) -> None:
        self._row = find_model(name, "image-text")
        self._images, self._texts = store.vectors(vectors_key(name)), store.vectors(f"{vectors_key(name)}-text")
        self._pixels, self._device, self._progress = pixels, device, progress
        self._model: ImageText | None = None
        self.computed = 0

    def _loaded(self) -> ImageText:
        if self._model is None:
            from augforge.models.image_text import ImageText

            self._progress.say(f"loading {self._row.name}")
            self._model = ImageText(self._row, self._device)
        return self._model

    def texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) embeddings of texts, of unit length."""
        digests = {text: hashlib.sha256(text.encode()).hexdigest() for text in texts}
        missing = set(self._texts.missing(list(digests.values())))
        todo = [text for text, digest in digests.items() if digest in missing]
        if todo:
            vectors = self._loaded().embed_texts(todo)
            with self._texts.writing() as writer:
                writer.add([{"digest": digests[text], "vector": v} for text, v in zip(todo, vectors, strict=True)])
        return self._texts.matrix([digests[text] for text in texts], "vector")

    def images(self, ledger: Ledger, indices: Indices, drop: Callable[[list[str], str], None]) -> Vectors:
        """(n, d) embeddings of the samples at `indices`, of unit length.

        An image that can no longer be read goes to `drop` (its digests, the reason), and its row is NaN.
        """
        digests = ledger.column("digest", indices)
        missing = set(self._images.missing(digests))
        first = {d: i for d, i in zip(reversed(digests), reversed(indices.tolist()), strict=True) if d in missing}
        if first:
            self._embed(list(ledger.samples(np.array(sorted(first.values())))), drop)
        return self._matrix(digests)

    def _matrix(self, digests: Sequence[str]) -> Vectors:
        there = self._images.find(digests) >= 0
        present = self._images.matrix([d for d, found in zip(digests, there, strict=True) if found], "vector")
        vectors = np.full((len(digests), present.shape[1]), np.nan, dtype=np.float32)
        vectors[there] = present
        return vectors

    def _embed(self, samples: Sequence[Sample], drop: Callable[[list[str], str], None]) -> None:
        model = self._loaded()

        def load(batch: Sequence[Sample]) -> Ready:
            ready: Ready = ([], [])
            for sample in batch:
                try:
                    image = images.decode(self._pixels.bytes_of(sample))
                except BadImage as error:
                    drop([sample.digest], error.message)
                else:
                    ready[0].append(sample.digest)
                    ready[1].append(image)
            return ready

        def work(ready: Ready) -> tuple[list[str], Vectors]:
            digests, pictures = ready
            return digests, model.embed_images(pictures) if pictures else np.zeros((0, 0), dtype=np.float32)

        with self._progress.bar(f"embed ({self._row.name})", len(samples)) as bar, self._images.writing() as writer:

            def save(made: tuple[list[str], Vectors]) -> None:
                digests, vectors = made
                writer.add([{"digest": d, "vector": v} for d, v in zip(digests, vectors, strict=True)], vectors.nbytes)
                bar.advance(len(digests))

            batches = (samples[start : start + BATCH] for start in range(0, len(samples), BATCH))
            flow(batches, load, work, save)
        self.computed += len(samples)
