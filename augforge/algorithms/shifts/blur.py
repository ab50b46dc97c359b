"""Blur: 6 operations. Sizes are shares of the shorter side."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Among, Between, Pixels, Values, odd, op, shorter_side, to_pixels


def gaussian(pixels: Pixels, sigma: float) -> Pixels:
    """A Gaussian."""
    from scipy.ndimage import gaussian_filter

    length = sigma * shorter_side(pixels)
    return to_pixels(gaussian_filter(pixels.astype(np.float64), (length, length, 0), mode="nearest"))


def average(pixels: Pixels, size: float) -> Pixels:
    """The mean of a square."""
    from scipy.ndimage import uniform_filter

    side = odd(pixels, size)
    return to_pixels(uniform_filter(pixels.astype(np.float64), (side, side, 1), mode="nearest"))


def median(pixels: Pixels, size: float) -> Pixels:
    """The median of a square."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(odd(pixels, size))))


def bilateral(pixels: Pixels, size: float, spread: float) -> Pixels:
    """The mean of what is near both in place and in colour (Tomasi and Manduchi, 1998); `spread` in 0 to 255."""
    radius = odd(pixels, size) // 2
    values = pixels.astype(np.float32)
    total, weights = np.zeros_like(values), np.zeros((*pixels.shape[:2], 1), np.float32)
    for (down, right), moved in _neighbours(values, radius):
        apart = ((moved - values) ** 2).sum(axis=2, keepdims=True)
        near = np.exp(-apart / (2 * spread**2) - (down**2 + right**2) / (2 * max(radius, 1) ** 2))
        total += near * moved
        weights += near
    return to_pixels(total / weights)


def motion(pixels: Pixels, length: float, angle: float) -> Pixels:
    """Smeared along a line at an angle in degrees."""
    from scipy.ndimage import convolve

    kernel = line(odd(pixels, length), angle)
    return to_pixels(convolve(pixels.astype(np.float64), kernel[..., None], mode="nearest"))


def mean_shift(pixels: Pixels, size: float, spread: float, rounds: int) -> Pixels:
    """Each colour moved, some rounds, to the mean of those of its square that are within `spread` of it.

    The mean shift of Comaniciu and Meer (2002) in colour only: the square stays where it is.
    """
    radius = odd(pixels, size) // 2
    values = pixels.astype(np.float32)
    around = [moved.copy() for _, moved in _neighbours(values, radius)]
    for _ in range(rounds):
        total, counts = np.zeros_like(values), np.zeros((*pixels.shape[:2], 1), np.float32)
        for moved in around:
            near = ((moved - values) ** 2).sum(axis=2, keepdims=True) <= spread**2
            total += near * moved
            counts += near
        values = np.where(counts > 0, total / np.maximum(counts, 1), values)
    return to_pixels(values)


def line(size: int, angle: float) -> Values:
    """(size, size) a line through the middle at an angle in degrees, counter-clockwise, summing to 1."""
    kernel = np.zeros((size, size))
    turn, middle = np.deg2rad(angle), (size - 1) / 2
    for along in np.linspace(-middle, middle, 4 * size + 1):
        row, column = middle - along * np.sin(turn), middle + along * np.cos(turn)
        kernel[round(row), round(column)] += 1
    normal: Values = kernel / kernel.sum()
    return normal


def _neighbours(values: NDArray[np.float32], radius: int) -> list[tuple[tuple[int, int], NDArray[np.float32]]]:
    """The image moved by every offset of at most `radius`, the edge going on outside."""
    height, width = values.shape[:2]
    wide = np.pad(values, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    offsets = product(range(-radius, radius + 1), repeat=2)
    return [((d, r), wide[radius + d : radius + d + height, radius + r : radius + r + width]) for d, r in offsets]


OPS = (
    op("gaussian", gaussian, sigma=Between(0.01, 0.025)),
    op("average", average, size=Between(0.03, 0.07)),
    op("median", median, size=Between(0.03, 0.06)),
    op("bilateral", bilateral, fades=True, size=Between(0.03, 0.05), spread=Between(40, 90)),
    op("motion", motion, length=Between(0.05, 0.1), angle=Between(0, 180)),
    op("mean-shift", mean_shift, fades=True, size=Between(0.03, 0.05), spread=Between(30, 60), rounds=Among((2, 3))),
)
