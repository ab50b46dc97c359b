"""Pixels of two images in one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry import Crop, Geometry, Resize

Pixels = NDArray[np.uint8]
Size = tuple[int, int]


def blended(first: Pixels, second: Pixels, lam: float) -> Pixels:
    """`lam` of the first and the rest of the second image, both (h, w, 3), rounded; 1 gives the first to the byte.

    Mixup: Zhang et al., ICLR 2018.
    """
    mixed = lam * first.astype(np.float64) + (1.0 - lam) * second.astype(np.float64)
    pixels: Pixels = np.rint(mixed).astype(np.uint8)
    return pixels


def pasted(first: NDArray[Any], second: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[Any]:
    """The first image or label map (h, w[, c]) with the pixels `where` (h, w) taken from the second."""
    made = first.copy()
    made[where] = second[where]
    return made


def covering(inner: Size, size: Size) -> Geometry:
    """How an image of the size `inner` comes to fill `size`: its middle, of those proportions, is cut out and scaled.

    Nothing where it has that size already. A part is cut out first: a long image would be scaled beyond all bounds.
    """
    if inner == size:
        return Geometry()
    scale = max(size[0] / inner[0], size[1] / inner[1])
    height, width = (min(side, max(1, round(length / scale))) for side, length in zip(inner, size, strict=True))
    top, left = (inner[0] - height) // 2, (inner[1] - width) // 2
    return Geometry((Crop(top, left, height, width), Resize(*size)))
