"""Contrast: 6 operations."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.shifts.base import Between, Pixels, from_unit, op, to_pixels, to_unit
from augforge.optional import require


def gamma(pixels: Pixels, log2: float) -> Pixels:
    """Each value in 0 to 1 to the power of 2**log2: darker above 0, brighter below."""
    return from_unit(to_unit(pixels) ** (2.0**log2))


def sigmoid(pixels: Pixels, gain: float, cutoff: float) -> Pixels:
    """A sigmoid of each value about a cutoff in 0 to 1, stretched to 0 to 1."""
    low, high = (1 / (1 + np.exp(gain * (cutoff - end))) for end in (0.0, 1.0))
    curve = 1 / (1 + np.exp(gain * (cutoff - to_unit(pixels))))
    return from_unit((curve - low) / (high - low))


def log(pixels: Pixels, gain: float) -> Pixels:
    """gain * log2(1 + value)."""
    return from_unit(gain * np.log2(1 + to_unit(pixels)))


def linear(pixels: Pixels, factor: float) -> Pixels:
    """The distance to the middle grey times a factor."""
    return to_pixels(127.5 + factor * (pixels - 127.5))


def clahe(pixels: Pixels, limit: float) -> Pixels:
    """The histogram of brightness equalized tile by tile, its slope limited (Zuiderveld, 1994)."""
    require("skimage")
    from skimage.exposure import equalize_adapthist

    return from_unit(equalize_adapthist(pixels, clip_limit=limit))


def equalize(pixels: Pixels) -> Pixels:
    """The histogram of each channel equalized."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.equalize(Image.fromarray(pixels)))


OPS = (
    op("gamma", gamma, log2=Between(0.8, 1.5, signed=True)),
    op("sigmoid", sigmoid, fades=True, gain=Between(8, 14), cutoff=Between(0.4, 0.6)),
    op("log", log, fades=True, gain=Between(0.5, 1.4)),
    op("linear", linear, factor=Between(1.5, 1.8, rest=1, signed=True)),
    op("clahe", clahe, fades=True, limit=Between(0.02, 0.06)),
    op("equalize", equalize, fades=True),
)
