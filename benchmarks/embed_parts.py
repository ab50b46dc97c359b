"""What the benchmark of embeddings is made of: photos, models that are loaded already, clocks."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from augforge.data.ledger import Ledger
from augforge.data.preprocessing import Preprocessing
from augforge.data.store import Store
from augforge.engine.embedding import Embedder
from augforge.engine.ingest import read_sources
from augforge.engine.pixels import Pixels
from augforge.io import open_source
from augforge.models.vision import clip_preprocessing, in_batches
from augforge.progress import Progress

DIFFERENT = 512
"""Photos that differ in what they show; the others repeat them, with another comment and so another digest."""


def photos(count: int, size: tuple[int, int]) -> list[bytes]:
    """JPEG bytes of `count` different photos of `size` px."""
    whole = Image.fromarray(load_sample_image("china.jpg"))
    draw = np.random.default_rng(0)
    made: list[bytes] = []
    for _ in range(min(count, DIFFERENT)):
        left, top = draw.uniform(0, whole.width / 3), draw.uniform(0, whole.height / 3)
        box = (left, top, left + whole.width * 2 / 3, top + whole.height * 2 / 3)
        out = io.BytesIO()
        whole.resize(size, Image.Resampling.BICUBIC, box=box).save(out, "JPEG", quality=90)
        made.append(out.getvalue())
    return made + [commented(made[number % DIFFERENT], number) for number in range(DIFFERENT, count)]


def commented(photo: bytes, number: int) -> bytes:
    """The same JPEG with a number in a comment segment, right after its start marker."""
    return photo[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + photo[2:]


class RandomClip:
    """The image tower of an open_clip architecture with random weights; if `tiny`, of one block alone."""

    def __init__(self, architecture: str, device: str, tiny: bool = False) -> None:
        import open_clip

        self._net = open_clip.create_model(architecture, device=device).eval()
        if tiny and hasattr(self._net.visual, "trunk"):
            self._net.visual.trunk.blocks = self._net.visual.trunk.blocks[:1]
        elif tiny:
            self._net.visual.transformer.resblocks = self._net.visual.transformer.resblocks[:1]
        self.preprocessing, self.device = clip_preprocessing(self._net.visual.preprocess_cfg), device

    def embed_preprocessed(self, seen: Any) -> Any:
        """(n, d) of unit length."""
        assert self.preprocessing is not None
        return in_batches(self._net.encode_image, seen, self.preprocessing, self.device)


class Nothing:
    """Sees as ViT-B-32 does, and answers at once."""

    preprocessing = Preprocessing(224, (0.5,) * 3, (0.5,) * 3, 224)

    def embed_preprocessed(self, seen: Any) -> Any:
        """(n, 512) of unit length."""
        return np.full((len(seen), 512), 512**-0.5, dtype=np.float32)


class Timed(Embedder):
    """An embedder with a model that is loaded already."""

    model: Any = None

    def _loaded(self) -> Any:
        return self.model


def ingested(folder: Path, count: int, size: tuple[int, int]) -> tuple[Ledger, Pixels]:
    """The ledger of `count` photos that are written into `folder`, and their bytes."""
    source = folder / "photos" / "photo"
    source.mkdir(parents=True)
    for number, content in enumerate(photos(count, size)):
        (source / f"{number:05d}.jpg").write_bytes(content)
    sources = [open_source("folder", str(source.parent))]
    ledger, _ = read_sources(sources, Store(folder / "read"), Progress())
    return ledger, Pixels(sources)


def forward(model: Any, seen: Any, batches: int) -> None:
    """Nothing but the model, over the same prepared batch."""
    for _ in range(batches):
        model.embed_preprocessed(seen)


def clocked(work: Callable[[], Any]) -> NDArray[np.float64]:
    """Seconds that `work` takes, by the clock and by the processor."""
    start, spent = time.monotonic(), time.process_time()
    work()
    return np.array([time.monotonic() - start, time.process_time() - spent])
