"""Light and the numbers that stand for it: sRGB (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
GREY = np.array([0.2126, 0.7152, 0.0722])
"""What red, green and blue light contribute to the luminance."""


def to_light(image: Values) -> Values:
    """The light in [0, 1] of sRGB values in [0, 1]."""
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def from_light(light: Values) -> Values:
    """The sRGB values in [0, 1] of light; below 0 and above 1 it is cut off."""
    light = light.clip(0, 1)
    return np.where(light <= 0.04045 / 12.92, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def light_of(pixels: NDArray[np.uint8]) -> Values:
    """The light in [0, 1] of an image."""
    return TABLE[pixels]


def pixels_of(light: Values) -> NDArray[np.uint8]:
    """The image of light in [0, 1], each value rounded."""
    pixels: NDArray[np.uint8] = np.rint(from_light(light) * 255).astype(np.uint8)
    return pixels


TABLE = to_light(np.arange(256) / 255)
