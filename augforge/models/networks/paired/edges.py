"""Edges by arithmetic alone: thin, black or white, and the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LUMA = np.array([0.299, 0.587, 0.114])
SIGMA = 1.0
WEAK, STRONG = 0.02, 0.06
"""Slopes of the smoothed brightness, in [0, 1] per pixel: an edge is at least weak, and strong somewhere."""
ACROSS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""The neighbour (down, right) across an edge whose gradient points at 0, 45, 90 or 135 degrees."""


def edge_map(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w), 1 on the edges of an RGB image (h, w, 3) and 0 elsewhere; Canny, PAMI 1986.

    Smoothed brightness, its Sobel gradient, the maxima across the edge (one pixel wide), and of those the connected
    ones that are strong somewhere.
    """
    smooth = ndimage.gaussian_filter(image @ LUMA / 255, SIGMA, mode="nearest")
    down, right = (ndimage.sobel(smooth, axis, mode="nearest") / 8 for axis in (0, 1))
    slope = np.round(np.hypot(down, right), 6)
    thin = _peaks(slope, down, right) & (slope >= WEAK)
    parts, _ = ndimage.label(thin, np.ones((3, 3)))
    strong = np.unique(parts[thin & (slope >= STRONG)])
    return np.isin(parts, strong[strong > 0]).astype(np.float32)


def _peaks(slope: NDArray[np.float64], down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the slope is larger than before the edge, and not smaller than behind it: one of two equals stays."""
    height, width = slope.shape
    around = np.pad(slope, 1)
    facing = np.round(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    found = np.zeros(slope.shape, bool)
    for number, (dy, dx) in enumerate(ACROSS):
        after = around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        before = around[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        found |= (facing == number) & (slope > before) & (slope >= after)
    return found
