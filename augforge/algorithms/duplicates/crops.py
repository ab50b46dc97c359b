"""Crops: whether one picture is, at 32x32 pixels, a part of another one. Slower than hashes, for candidates only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.hashes import SIDE

Small = NDArray[np.uint8]
Floats = NDArray[np.float32]

SMALLEST, SLIGHTLY = 26, 29
"""A part is at least so many of the 32 pixels wide and high, 81 % of each side; 91 % for pictures of near hashes."""
_PAIRS = 32  # at a time: their windows stay in the cache
LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Windows:
    """For p pairs, how well one picture fits a part of the other one, and where.

    Attributes:
        value: (p,) the correlation, -1 to 1.
        width: (p,) how many of the 32 pixels the part is wide and high.
        top: (p,) the first row of the part.
        left: (p,) its first column.
        mirrored: (p,) whether it is the mirror image that fits.
        swapped: (p,) whether the second picture fits a part of the first one.
    """

    value: NDArray[np.float64]
    width: NDArray[np.int64]
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    swapped: NDArray[np.bool_]


def overlap(left: Small, right: Small, *, flips: bool = True, smallest: int = SMALLEST) -> NDArray[np.float64]:
    """(p,) how well grey pictures (p, 32, 32) fit parts of their partners (p, 32, 32), or the other way round: -1 to 1.

    The normalised cross-correlation (Lewis, 1995, *Fast Normalized Cross-Correlation*) at the best place and the
    best of the sizes `smallest` to 32; what a blur leaves is taken away first, because bright and dark regions are
    alike in many pictures and details are not. With `flips`, the better of the picture and its mirror image.
    """
    return best_windows(left, right, flips=flips, smallest=smallest).value


def best_windows(left: Small, right: Small, *, flips: bool = True, smallest: int = SMALLEST) -> Windows:
    """Where pictures (p, 32, 32) and their partners (p, 32, 32) `overlap` best."""
    found = np.full((len(left), 6), -1.0)
    for start in range(0, len(left), _PAIRS):
        part = slice(start, start + _PAIRS)
        a, b = details_of(left[part]), details_of(right[part])
        there, back = _inside(a, b, flips, smallest), _inside(b, a, flips, smallest)
        found[part, :5] = np.where(back[:, :1] > there[:, :1], back, there)
        found[part, 5] = back[:, 0] > there[:, 0]
    value, width, top, first, mirrored, swapped = found.T
    width, top, first = (column.astype(np.int64) for column in (width, top, first))
    return Windows(value, width, top, first, mirrored > 0, swapped > 0)


def _inside(small: Floats, large: Floats, flips: bool, smallest: int) -> NDArray[np.float64]:
    """(p, 5) the best correlation of `small` (p, 32, 32), shrunk, with any window of `large` (p, 32, 32); where."""
    best = np.full((len(small), 5), -1.0)
    sums, squares = _table(large), _table(large**2)
    for width in range(smallest, SIDE + 1):
        shrunk = np.asarray(shrinking(width) @ small @ shrinking(width).T, dtype=np.float32)
        turned = [shrunk, shrunk[:, :, ::-1]] if flips else [shrunk]
        wanted = np.stack([_unit(picture.reshape(len(small), width * width)) for picture in turned], axis=2)
        windows = np.lib.stride_tricks.sliding_window_view(large, (width, width), axis=(1, 2))
        places = SIDE - width + 1
        found = windows.reshape(len(small), places**2, width * width) @ wanted
        spread = _boxes(squares, width) - _boxes(sums, width) ** 2 / width**2
        lengths = np.sqrt(spread.clip(0))[..., None]
        found = np.where(lengths > LEAST * width, found / np.maximum(lengths, LEAST), 0).reshape(len(small), -1)
        first = found.argmax(axis=1)
        place, mirrored = np.divmod(first, len(turned))
        now = np.stack([found.max(axis=1), np.full(len(small), width), *np.divmod(place, places), mirrored], axis=1)
        best = np.where(now[:, :1] > best[:, :1], now, best)
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
    some = lengths > LEAST * pictures.shape[-1] ** 0.5
    unit: Floats = np.where(some, centred / np.maximum(lengths, LEAST), 0).astype(np.float32, copy=False)
    return unit


def details_of(smalls: Small) -> Floats:
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
def shrinking(width: int, side: int = SIDE) -> Floats:
    """(width, side) averages of the `side` pixels that each of `width` wider ones covers, by area."""
    edges = np.arange(width + 1) * side / width
    starts, stops = edges[:-1, None], edges[1:, None]
    covered = np.minimum(stops, np.arange(1, side + 1)) - np.maximum(starts, np.arange(side))
    return np.asarray(covered.clip(0) * width / side, dtype=np.float32)
