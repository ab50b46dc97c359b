"""Light and the numbers that stand for it: sRGB (IEC 61966-2-1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float32]
GREY = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""What red, green and blue light contribute to the luminance."""


def to_light(image: NDArray[Any]) -> NDArray[Any]:
    """The light in [0, 1] of sRGB values in [0, 1], of the same dtype."""
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def from_light(light: NDArray[Any]) -> NDArray[Any]:
    """The sRGB values in [0, 1] of light, of the same dtype; below 0 and above 1 it is cut off."""
    light = light.clip(0, 1)
    encoded = 1.055 * light ** (1 / 2.4) - 0.055
    return np.where(light <= 0.04045 / 12.92, light * 12.92, encoded)


def light_of(pixels: NDArray[np.uint8]) -> Light:
    """The light in [0, 1] of an image."""
    return _LIGHT[pixels]


def pixels_of(light: NDArray[Any]) -> NDArray[np.uint8]:
    """The image of light, each value rounded to the nearest number; below 0 and above 1 it is cut off."""
    pixels: NDArray[np.uint8] = np.rint(from_light(light) * 255).astype(np.uint8)
    return pixels


_LIGHT = to_light(np.arange(256) / 255).astype(np.float32)
