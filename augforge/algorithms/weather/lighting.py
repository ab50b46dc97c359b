"""What the light does: night, dawn and dusk, a low sun in the lens, and motion while the shutter is open.

All of it is computed on light, not on the numbers of pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from augforge.algorithms.light import GREY, light_of, pixels_of
from augforge.algorithms.shifts.base import Pixels
from augforge.algorithms.shifts.blur import line
from augforge.algorithms.weather.air import smear
from augforge.data.ids import rng


def night(
    pixels: Pixels, stops: float, paleness: float, tint: Sequence[float], noise: Mapping[str, float], seed: int
) -> Pixels:
    """A moonlit scene: `stops` darker, paler, bluish, and with the noise of a sensor that sees little.

    A plain darkening: no lamp lights up, for which it takes a trained translator. `tint` are logarithms of gains, the
    noise has the variance shot * light + read.
    """
    light = light_of(pixels)
    light += np.float32(paleness) * ((light @ GREY)[..., None] - light)
    light *= (np.exp(tint) * 2.0**-stops).astype(np.float32)
    drawn = rng(seed, "night").standard_normal(light.shape, dtype=np.float32)
    drawn *= np.sqrt(np.float32(noise["shot"]) * light + np.float32(noise["read"]))
    return pixels_of(light + drawn)


def twilight(pixels: Pixels, stops: float, above: Sequence[float], below: Sequence[float]) -> Pixels:
    """Light of another colour `above` than `below`, `stops` darker: logarithms of gains for red, green and blue at the
    upper and the lower border, and what lies between them between.
    """
    down = ((np.arange(len(pixels)) + 0.5) / len(pixels))[:, None, None]
    gains = np.exp((1 - down) * np.asarray(above) + down * np.asarray(below))
    return pixels_of(light_of(pixels) * (gains * 2.0**-stops).astype(np.float32))


def glare(pixels: Pixels, row: float, column: float, strength: float, radius: float) -> Pixels:
    """A low sun in the picture: light that the lens scatters, falling off with the square of the distance from it.

    The sun stands at shares of the sides; at `radius`, a share of the shorter side, half of `strength` is left.
    """
    height, width = pixels.shape[:2]
    down, right = (np.arange(height) + 0.5) - row * height, (np.arange(width) + 0.5) - column * width
    far = (down[:, None] ** 2 + right**2) / (radius * min(height, width)) ** 2
    scattered = (strength / (1 + far)).astype(np.float32)
    return pixels_of(light_of(pixels) + scattered[..., None] * np.array([1.0, 0.96, 0.88], np.float32))


def motion_blur(pixels: Pixels, length: float, angle: float) -> Pixels:
    """Smeared along a line, in shares of the shorter side, at an angle in degrees."""
    size = 2 * round(length * min(pixels.shape[:2]) / 2) + 1
    return pixels.copy() if size == 1 else pixels_of(smear(light_of(pixels), line(size, angle), None))
