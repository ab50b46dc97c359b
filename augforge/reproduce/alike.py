"""How alike the images of two run folders are, pixel by pixel and by an embedding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.io.run import Run
from augforge.models import find_model
from augforge.progress import Progress

if TYPE_CHECKING:
    from augforge.models.vision import ImageEmbedder

BATCH = 64
Pair = tuple[Image.Image, Image.Image]


@dataclass(frozen=True, slots=True)
class Bounds:
    """When two images are alike: every value within 1/255; or, where `psnr` (dB) is given, at least that, and, where
    `cosine` is given, embeddings by `embedder` of at least that cosine.
    """

    psnr: float | None = None
    cosine: float | None = None
    embedder: str = "builtin-clip"


def psnr(left: Image.Image, right: Image.Image) -> float:
    """The peak signal-to-noise ratio of two RGB images in dB; infinite if they are equal, minus infinite by size."""
    if left.size != right.size:
        return -math.inf
    error = float(np.mean((np.asarray(left, np.float64) - np.asarray(right, np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def largest(left: Image.Image, right: Image.Image) -> float:
    """The largest difference of a value, in 255ths; infinite for images of different sizes."""
    if left.size != right.size:
        return math.inf
    return float(np.abs(np.asarray(left, np.int64) - np.asarray(right, np.int64)).max(initial=0))


def compare_images(reference: Path, folder: Path, bounds: Bounds, progress: Progress) -> tuple[bool, str]:
    """Whether the kept images of two run folders that have the same id are alike, and a sentence about it."""
    before, after = Run(str(reference)), Run(str(folder))
    first, second = _kept(before), _kept(after)
    pairs = [identity for identity in second if identity in first]
    differ = [identity for identity in pairs if second[identity] != first[identity]]
    apart = _apart(before, after, differ, bounds, progress)
    said = f"of {len(pairs)} images with the same id {len(differ)} have other bytes"
    if differ:
        said += f": values differ by at most {apart.largest:g}/255, PSNR is at least {apart.psnr:.1f} dB"
        said += f", cosine at least {apart.cosine:.4f}" if bounds.cosine is not None else ""
    return apart.within(bounds), said


@dataclass(frozen=True, slots=True)
class _Apart:
    """How far the worst pair of images is apart, by each measure by itself."""

    largest: float = 0.0
    psnr: float = math.inf
    cosine: float = 1.0

    def within(self, bounds: Bounds) -> bool:
        """Whether every pair is alike."""
        if bounds.psnr is None and bounds.cosine is None:
            return self.largest <= 1
        return self.psnr >= (bounds.psnr or -math.inf) and self.cosine >= (bounds.cosine or -1)

    def and_of(self, pairs: list[Pair], model: ImageEmbedder | None) -> _Apart:
        """The worst of what was seen before and of more pairs."""
        return _Apart(
            max(self.largest, *(largest(a, b) for a, b in pairs)),
            min(self.psnr, *(psnr(a, b) for a, b in pairs)),
            self.cosine if model is None else min(self.cosine, _cosine(model, pairs)),
        )


def _apart(before: Run, after: Run, ids: list[str], bounds: Bounds, progress: Progress) -> _Apart:
    """The worst of the pairs of images with these ids; their cosine only if there is a bound to it."""
    model = None if bounds.cosine is None or not ids else _opened(bounds.embedder)
    worst = _Apart()
    with progress.bar("compare", len(ids)) as bar:
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            worst = worst.and_of([(images.decode(before.read(i)), images.decode(after.read(i))) for i in some], model)
            bar.advance(len(some))
    return worst


def _kept(run: Run) -> dict[str, str]:
    """The digest of every kept image, by its id."""
    return {entry.locator: entry.stamp for entry in run.entries() if entry.carried and entry.carried["kept"]}


def _opened(embedder: str) -> ImageEmbedder:
    from augforge.models.loading import load_embedder

    return load_embedder(find_model(embedder, "image-embedding"), "cpu")


def _cosine(model: ImageEmbedder, pairs: list[Pair]) -> float:
    """The least cosine of the embeddings of pairs."""
    left, right = (model.embed_images([pair[side] for pair in pairs]) for side in (0, 1))
    return float((left * right).sum(axis=1).min())
