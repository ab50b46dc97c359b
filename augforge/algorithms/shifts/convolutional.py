"""Convolutional: kernels of 3 x 3. 5 operations, each mixed with the image by `share`."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.shifts.base import Between, Pixels, Seed, Values, op, to_pixels
from augforge.data.ids import rng

SAME = np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])
LAPLACE = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def sharpen(pixels: Pixels, share: float, lightness: float) -> Pixels:
    """The image less its neighbours, by `lightness` brighter."""
    return _convolve(pixels, np.where(SAME > 0, 8 + lightness, -1.0), share)


def emboss(pixels: Pixels, share: float, strength: float) -> Pixels:
    """As if lit from the lower right."""
    slope = np.array([[-1.0, -1, 0], [-1, 0, 1], [0, 1, 1]])
    return _convolve(pixels, SAME + strength * slope, share)


def edge_detect(pixels: Pixels, share: float) -> Pixels:
    """The Laplacian: bright where the neighbours are brighter."""
    return _convolve(pixels, LAPLACE, share)


def directed_edge_detect(pixels: Pixels, share: float, angle: float) -> Pixels:
    """Bright where it becomes brighter in a direction, in degrees."""
    turn = np.deg2rad(angle)
    down, right = np.mgrid[-1:2, -1:2]
    along = right * np.cos(turn) - down * np.sin(turn)
    near = np.where(SAME > 0, 0.0, np.maximum(along, 0.0) ** 2)
    return _convolve(pixels, near / near.sum() - SAME, share, gain=2.0)


def random_kernel(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A random kernel whose weights sum to 1."""
    kernel = rng(seed).normal(0.0, 0.6, (3, 3))
    return _convolve(pixels, kernel + (1 - kernel.sum()) / 9, share)


def _convolve(pixels: Pixels, kernel: Values, share: float, gain: float = 1.0) -> Pixels:
    from scipy.ndimage import correlate

    mixed = (1 - share) * SAME + share * gain * kernel
    return to_pixels(correlate(pixels.astype(np.float64), mixed[..., None], mode="nearest"))


OPS = (
    op("sharpen", sharpen, share=Between(0.6, 1.0), lightness=Between(0.8, 1.6, rest=1)),
    op("emboss", emboss, share=Between(0.7, 1.0), strength=Between(1.0, 2.0)),
    op("edge-detect", edge_detect, share=Between(0.6, 1.0)),
    op("directed-edge-detect", directed_edge_detect, share=Between(0.6, 1.0), angle=Between(0, 360)),
    op("random-kernel", random_kernel, share=Between(0.7, 1.0), seed=Seed()),
)
