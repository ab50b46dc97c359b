"""Which part of a picture is looked at: one square for the image and its mask alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = 1.15
"""A training picture's shorter side is scaled to between 1 and this many times the size of the crop."""


@dataclass(frozen=True, slots=True)
class View:
    """A box in shares of the width and the height, 0 to 1, perhaps mirrored."""

    left: float
    top: float
    right: float
    bottom: float
    flip: bool = False


def centred(height: int, width: int) -> View:
    """The largest square in the middle."""
    return _square(height, width, min(height, width), 0.5, 0.5, False)


def random_view(height: int, width: int, random: np.random.Generator) -> View:
    """A square of 1 / 1.15 to 1 of the shorter side, anywhere, mirrored half of the time."""
    zoom, across, down = random.uniform(1, LARGEST), random.random(), random.random()
    return _square(height, width, min(height, width) / zoom, across, down, bool(random.random() < 0.5))


def seen(pixels: NDArray[np.uint8], view: View, size: int, smooth: bool) -> NDArray[np.uint8]:
    """The view of (h, w) or (h, w, 3) as (size, size[, 3]): bicubic if `smooth`, else of the nearest pixel."""
    height, width = pixels.shape[:2]
    box = (view.left * width, view.top * height, view.right * width, view.bottom * height)
    way = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    part = np.asarray(Image.fromarray(pixels).resize((size, size), way, box=box))
    return np.ascontiguousarray(part[:, ::-1]) if view.flip else part


def _square(height: int, width: int, side: float, across: float, down: float, flip: bool) -> View:
    left, top = across * (width - side) / width, down * (height - side) / height
    return View(left, top, min(1.0, left + side / width), min(1.0, top + side / height), flip)
