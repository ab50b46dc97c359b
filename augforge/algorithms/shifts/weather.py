"""Weather: 5 operations."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.shifts.base import (
    Between,
    Pixels,
    Random,
    Seed,
    Values,
    clouds_of,
    from_unit,
    odd,
    op,
    shorter_side,
    to_unit,
)
from augforge.algorithms.shifts.blur import line
from augforge.data.ids import rng


def snowy_landscape(pixels: Pixels, threshold: float, factor: float) -> Pixels:
    """Snow lies on what is not bright already: lightness (the mean of largest and smallest channel) below a
    threshold is multiplied, colour fades with it."""
    values = to_unit(pixels)
    lightness = (values.max(axis=2) + values.min(axis=2)) / 2
    lighter = np.where(lightness < threshold, np.minimum(1.0, lightness * factor), lightness)
    gain = np.where(lightness < 1, (1 - lighter) / np.maximum(1 - lightness, 1e-9), 1.0)[..., None]
    return from_unit(1 - gain * (1 - values))


def clouds(pixels: Pixels, cover: float, seed: int) -> Pixels:
    """Clouds of several sizes, denser with `cover`."""
    random = rng(seed)
    shape = clouds_of(pixels.shape[:2], 3, 5, random)
    dense = ((shape - (1 - cover)) / 0.35).clip(0, 1) * min(1.0, 1.5 * cover)
    bright = 0.85 + 0.15 * clouds_of(pixels.shape[:2], 6, 3, random)
    return _over(pixels, bright, dense)


def fog(pixels: Pixels, density: float, seed: int) -> Pixels:
    """A veil over everything, thicker here and thinner there."""
    uneven = clouds_of(pixels.shape[:2], 2, 3, rng(seed))
    return _over(pixels, np.full(pixels.shape[:2], 0.88), (density * (0.75 + 0.5 * uneven)).clip(0, 1))


def snowflakes(pixels: Pixels, share: float, size: float, angle: float, seed: int) -> Pixels:
    """Flakes of two sizes, falling at an angle."""
    from scipy.ndimage import convolve

    random = rng(seed)
    white = np.zeros(pixels.shape[:2])
    for scale, many in ((size, share), (2 * size, share / 4)):
        radius = scale * shorter_side(pixels)
        fallen = convolve(
            flakes(white.shape, radius, many, random), line(odd(pixels, 1.5 * scale), angle), mode="constant"
        )
        white = np.maximum(white, (1.6 * fallen).clip(0, 1))
    return _over(pixels, np.ones_like(white), white)


def flakes(size: tuple[int, ...], radius: float, share: float, random: Random) -> Values:
    """(h, w) soft flakes of a radius in px, as many as cover about a `share`; their middles are 0.5 to 1 bright."""
    from scipy.ndimage import gaussian_filter

    found = (random.random(size) < share / max(1.0, radius) ** 2).astype(np.float64)
    found *= random.uniform(0.5, 1.0, size)
    return np.asarray(gaussian_filter(found, radius, mode="constant") * 2 * np.pi * max(radius, 0.4) ** 2)


def rain(pixels: Pixels, share: float, length: float, angle: float, seed: int) -> Pixels:
    """Streaks at an angle before a darker picture."""
    from scipy.ndimage import convolve

    streak = line(odd(pixels, length), angle)
    drops = (rng(seed).random(pixels.shape[:2]) < share / len(streak) * 4).astype(np.float64)
    streaks = convolve(drops, streak * len(streak), mode="constant").clip(0, 1)
    darker = from_unit(to_unit(pixels) * (1 - min(0.3, 2 * share)))
    return _over(darker, np.full(pixels.shape[:2], 0.8), 0.65 * streaks)


def _over(pixels: Pixels, bright: Values, opaque: Values) -> Pixels:
    """White (h, w) of a brightness laid over the image, as opaque (h, w) as it says."""
    return from_unit(to_unit(pixels) * (1 - opaque[..., None]) + (bright * opaque)[..., None])


OPS = (
    op("snowy-landscape", snowy_landscape, threshold=Between(0.45, 0.7), factor=Between(1.6, 2.6, rest=1)),
    op("clouds", clouds, cover=Between(0.5, 0.7), seed=Seed()),
    op("fog", fog, density=Between(0.45, 0.75), seed=Seed()),
    op(
        "snowflakes",
        snowflakes,
        share=Between(0.02, 0.05),
        size=Between(0.004, 0.008),
        angle=Between(60, 120, rest=90),
        seed=Seed(),
    ),
    op(
        "rain",
        rain,
        share=Between(0.03, 0.08),
        length=Between(0.07, 0.14),
        angle=Between(65, 115, rest=90),
        seed=Seed(),
    ),
)
