"""Crops: whether one picture is, at 32x32 pixels, a part of another one. Slower than hashes, for candidates only."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.hashes import SIDE

Small = NDArray[np.uint8]
Floats = NDArray[np.float32]

SMALLEST, SLIGHTLY = 26, 29
"""A part is at least so many of the 32 pixels wide and high, 81 % of each side; 91 % for pictures of near hashes."""
_PAIRS = 32  # at a time: their windows stay in the cache
_LEAST = 1e-3


def overlap(left: Small, right: Small, *, flips: bool = True, smallest: int = SMALLEST) -> NDArray[np.float64]:
    """(p,) how well grey pictures (p, 32, 32) fit parts of their partners (p, 32, 32), or the other way round: -1 to 1.

    The normalised cross-correlation (Lewis, 1995, *Fast Normalized Cross-Correlation*) at the best place and the
    best of the sizes `smallest` to 32; what a blur leaves is taken away first, because bright and dark regions are
    alike in many pictures and details are not. With `flips`, the better of the picture and its mirror image.
    """
    best = np.full(len(left), -1.0)
    for start in range(0, len(left), _PAIRS):
        part = slice(start, start + _PAIRS)
        a, b = _details(left[part]), _details(right[part])
        best[part] = np.maximum(_inside(a, b, flips, smallest), _inside(b, a, flips, smallest))
    return best


def _inside(small: Floats, large: Floats, flips: bool, smallest: int) -> NDArray[np.float64]:
    """(p,) the best correlation of `small` (p, 32, 32), shrunk, with any window of `large` (p, 32, 32)."""
    best = np.full(len(small), -1.0)
    sums, squares = _table(large), _table(large**2)
    for width in range(smallest, SIDE + 1):
        shrunk = np.asarray(_shrinking(width) @ small @ _shrinking(width).T, dtype=np.float32)
        turned = [shrunk, shrunk[:, :, ::-1]] if flips else [shrunk]
        wanted = np.stack([_unit(picture.reshape(len(small), width * width)) for picture in turned], axis=2)
        windows = np.lib.stride_tricks.sliding_window_view(large, (width, width), axis=(1, 2))
        found = windows.reshape(len(small), (SIDE - width + 1) ** 2, width * width) @ wanted
        spread = _boxes(squares, width) - _boxes(sums, width) ** 2 / width**2
        lengths = np.sqrt(spread.clip(0))[..., None]
        found = np.where(lengths > _LEAST * width, found / np.maximum(lengths, _LEAST), 0)
        best = np.maximum(best, found.max(axis=(1, 2)))
    return best


def _table(values: Floats) -> NDArray[np.float64]:
    """(p, 33, 33) the sums of all that is above and to the left."""
    table = np.zeros((len(values), SIDE + 1, SIDE + 1))
    table[:, 1:, 1:] = values.cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    return table


def _boxes(table: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """(p, k) the sums over every window, line by line."""
    rows = table[:, width:] - table[:, :-width]
    sums: NDArray[np.float64] = (rows[:, :, width:] - rows[:, :, :-width]).reshape(len(table), -1)
    return sums


def _unit(pictures: Floats) -> Floats:
    """Pictures (..., d) with mean 0 and length 1; 0 where there is nothing but a constant."""
    centred = pictures - pictures.mean(axis=-1, keepdims=True)
    lengths = np.sqrt(np.einsum("...d,...d->...", centred, centred))[..., None]
    some = lengths > _LEAST * pictures.shape[-1] ** 0.5
    unit: Floats = np.where(some, centred / np.maximum(lengths, _LEAST), 0).astype(np.float32, copy=False)
    return unit


def _details(smalls: Small) -> Floats:
    """(n, 32, 32) what a blur of an eighth of the picture leaves."""
    values = smalls.astype(np.float32)
    blur = _blurring()
    return np.asarray(values - blur @ values @ blur.T, dtype=np.float32)


@cache
def _blurring(sigma: float = 2.0) -> Floats:
    """(32, 32) a Gaussian blur of each row, cut off at the edges."""
    places = np.arange(SIDE)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


@cache
def _shrinking(width: int) -> Floats:
    """(width, 32) averages of the 32 pixels that each of `width` wider ones covers, by area."""
    edges = np.arange(width + 1) * SIDE / width
    starts, stops = edges[:-1, None], edges[1:, None]
    covered = np.minimum(stops, np.arange(1, SIDE + 1)) - np.maximum(starts, np.arange(SIDE))
    return np.asarray(covered.clip(0) * width / SIDE, dtype=np.float32)
