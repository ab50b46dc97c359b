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
    from augforge.models.vision import Embeds

BATCH = 64


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
    model = None if bounds.cosine is None or not differ else _opened(bounds.embedder)
    worst, lowest, closest = 0.0, math.inf, 1.0
    with progress.bar("compare", len(differ)) as bar:
        for start in range(0, len(differ), BATCH):
            some = differ[start : start + BATCH]
            both = [(images.decode(before.read(i)), images.decode(after.read(i))) for i in some]
            worst = max(worst, *(largest(a, b) for a, b in both))
            lowest = min(lowest, *(psnr(a, b) for a, b in both))
            if model is not None:
                closest = min(closest, _cosine(model, both))
            bar.advance(len(some))
    said = f"of {len(pairs)} images with the same id {len(differ)} have other bytes"
    if differ:
        said += f": values differ by at most {worst:g}/255, PSNR is at least {lowest:.1f} dB"
        said += f", cosine at least {closest:.4f}" if bounds.cosine is not None else ""
    if bounds.psnr is None and bounds.cosine is None:
        return worst <= 1, said
    return lowest >= (bounds.psnr or -math.inf) and closest >= (bounds.cosine or -1), said


def _kept(run: Run) -> dict[str, str]:
    """The digest of every kept image, by its id."""
    return {entry.locator: entry.stamp for entry in run.entries() if entry.carried and entry.carried["kept"]}


def _opened(embedder: str) -> Embeds:
    from augforge.models.loading import load_embedder

    return load_embedder(find_model(embedder, "image-embedding"), "cpu")


def _cosine(model: Embeds, pairs: list[tuple[Image.Image, Image.Image]]) -> float:
    """The least cosine of the embeddings of pairs."""
    left, right = (model.embed_images([pair[side] for pair in pairs]) for side in (0, 1))
    return float((left * right).sum(axis=1).min())
