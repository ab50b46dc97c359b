"""Which of many pairs of pictures overlap well enough: what `crops.overlap` says, in a fraction of the time.

A picture that is near by hash to one is near to several. What the overlap needs of it, its windows and what it looks
like smaller, is computed once here, and compared with all its partners in one product of matrices. Such a product is
rounded in an order that depends on what else is in it; so pairs that come so near to the bound that rounding may decide
are looked at alone by `overlap`. The answer to a pair is therefore the same whichever others are asked with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.crops import (
    LEAST,
    SMALLEST,
    Floats,
    Small,
    details_of,
    overlap,
    shrinking,
)
from augforge.algorithms.duplicates.hashes import SIDE
from augforge.algorithms.duplicates.pairs import Pairs

_ROUNDING = 1e-4  # beyond all rounding of products of 1024 numbers in float32
_PAIRS = 256  # at a time: what is held of their pictures is 12 MB at most, much of it in the cache
_TOGETHER = 32  # pictures whose windows are held at a time: these stay in the cache
_MOST = 16  # partners that a picture is compared with at a time


def overlapping(
    smalls: Small, pairs: Pairs, least: float, *, flips: bool = True, smallest: int = SMALLEST
) -> NDArray[np.bool_]:
    """(p,) whether `overlap` of grey pictures is at least `least`.

    Args:
        smalls: (n, 32, 32) pictures.
        pairs: (p, 2) which of them are compared; it goes faster if those of one picture are near each other.
        least: -1 to 1.
        flips: also compare mirror images.
        smallest: what part of the other one a picture may be, in 32nds of the side.
    """
    found = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _PAIRS):
        asked = pairs[start : start + _PAIRS]
        values = _values(smalls, asked, flips, smallest)
        near = values >= least
        unsure = np.flatnonzero(~(np.abs(values - least) >= _ROUNDING))
        left, right = asked[unsure].T
        near[unsure] = overlap(smalls[left], smalls[right], flips=flips, smallest=smallest) >= least
        found[start : start + _PAIRS] = near
    return found


def _values(smalls: Small, pairs: Pairs, flips: bool, smallest: int) -> NDArray[np.float64]:
    """(p,) the overlap of pairs (p, 2), but for rounding: of each picture within the other one."""
    pictures, places = np.unique(pairs, return_inverse=True)
    pairs = places.reshape(pairs.shape)
    large, small = np.concatenate([pairs, pairs[:, ::-1]]).T
    details = details_of(smalls[pictures])
    groups = list(_groups(large, small))
    best = np.full(len(large), -1.0)
    for width, scales in _scales(details, smallest):
        wanted = _wanted(details, width, flips)
        windows = np.lib.stride_tricks.sliding_window_view(details, (width, width), axis=(1, 2))
        for group in groups:
            values = _compared(windows[group.large], scales[group.large], wanted[group.small])
            best[group.asked] = np.maximum(best[group.asked], values)
    return np.asarray(best.reshape(2, -1).max(axis=0))


class _Group(NamedTuple):
    """Pictures `large` (m,), each with k partners `small` (m, k), and which questions these are, `asked` (m, k)."""

    large: NDArray[np.int64]
    small: NDArray[np.int64]
    asked: NDArray[np.int64]


def _groups(large: NDArray[np.int64], small: NDArray[np.int64]) -> Iterator[_Group]:
    """Questions (q,), whether `small` is within `large`, by picture; some are asked twice to fill up a group."""
    order = np.argsort(large, kind="stable")
    starts = np.flatnonzero(np.diff(large[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    firsts = np.concatenate([np.arange(a, b, _MOST) for a, b in zip(starts, ends, strict=True)])
    lasts = np.minimum(firsts + _MOST, ends[np.searchsorted(starts, firsts, "right") - 1]) - 1
    sizes = 1 << np.ceil(np.log2(lasts - firsts + 1)).astype(np.int64)
    for size in np.unique(sizes).tolist():
        mine = np.flatnonzero(sizes == size)
        for start in range(0, len(mine), _TOGETHER):
            some = mine[start : start + _TOGETHER]
            asked = order[np.minimum(firsts[some, None] + np.arange(size), lasts[some, None])]
            yield _Group(large[asked[:, 0]], small[asked], asked)


def _wanted(details: Floats, width: int, flips: bool) -> Floats:
    """(n, f, width * width) pictures (n, 32, 32), shrunk, with mean 0 and length 1; and mirrored with `flips`."""
    shrunk = np.asarray(shrinking(width) @ details @ shrinking(width).T, dtype=np.float32)
    shrunk -= shrunk.mean(axis=(1, 2), keepdims=True)
    shrunk *= _over(np.sqrt(np.einsum("nyx,nyx->n", shrunk, shrunk)), width)[:, None, None]
    wanted = np.empty((len(shrunk), 1 + flips, width, width), dtype=np.float32)
    wanted[:, 0] = shrunk
    if flips:
        wanted[:, 1] = shrunk[:, :, ::-1]
    return wanted.reshape(len(shrunk), 1 + flips, width * width)


def _scales(details: Floats, smallest: int) -> Iterator[tuple[int, Floats]]:
    """Of each width (n, s * s) by what the windows of pictures (n, 32, 32) are multiplied to have the length 1."""
    places = [(width, start) for width in range(smallest, SIDE + 1) for start in range(SIDE - width + 1)]
    along = np.array([np.eye(SIDE)[start : start + width].sum(axis=0) for width, start in places])
    values = details.astype(np.float64)
    sums, squares = along @ values @ along.T, along @ values**2 @ along.T
    for width in range(smallest, SIDE + 1):
        here = [number for number, (each, _) in enumerate(places) if each == width]
        inside = np.s_[:, here[0] : here[-1] + 1, here[0] : here[-1] + 1]
        spread = squares[inside] - sums[inside] ** 2 / width**2
        yield width, _over(np.sqrt(spread.clip(0)), width).reshape(len(details), -1)


def _over(lengths: NDArray[np.floating], width: int) -> Floats:
    """One over `lengths` of windows of a width; 0 for nothing but a constant, NaN where rounding may decide on that."""
    least = LEAST * width
    scales = np.where(lengths > least, 1 / np.maximum(lengths, least), 0)
    scales[np.abs(lengths - least) < _ROUNDING * least] = np.nan
    return scales.astype(np.float32)


def _compared(windows: Floats, scales: Floats, wanted: Floats) -> Floats:
    """(m, k) the best correlation of `wanted` (m, k, f, w * w) with windows (m, s, s, w, w) of `scales` (m, s * s)."""
    m, k, turns, size = wanted.shape
    found = windows.reshape(m, -1, size) @ wanted.reshape(m, k * turns, size).transpose(0, 2, 1)
    return np.asarray((found * scales[..., None]).max(axis=1).reshape(m, k, turns).max(axis=2))
