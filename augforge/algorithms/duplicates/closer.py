"""A closer look at two plain pictures: what is left between them, in colour, when one is laid over the other.

A hash of 64 bits tells photographs apart. Of a drawing, an icon, a digit, a medical slice or a screenshot it says
little more than that something dark is in the middle, so that different ones have hashes as near as those of copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.crops import SMALLEST, Windows, best_windows, shrinking
from augforge.algorithms.duplicates.hashes import SIDE, Small

if TYPE_CHECKING:
    from PIL import Image

Floats = NDArray[np.float32]
View = Sequence[NDArray[np.uint8]]
"""A picture in colour at rising sizes, (32, 32, 3), (64, 64, 3), ..., as `views` makes them."""

PLAIN = 0.25
"""A picture is plain if so large a share of its 32x32 pixels is of one grey: 6 % of photographs, all drawings."""
DIFFERENT = 0.265
"""Two plain pictures are different if they differ somewhere by more than this share of their contrast."""
_NEAR = 4  # grey levels that count as one grey
_SIZES = {SIDE: (0, 3), 2 * SIDE: (96, 3), 4 * SIDE: (256, 4)}  # from which shorter side on; the window of a mean
_HOPELESS = 0.5
_GAINS, _SHIFT = (0.8, 1.25), 24
_SATURATED = 250
_LEAST_CONTRAST = 48  # grey levels


def plain(smalls: Small) -> NDArray[np.bool_]:
    """(n,) which grey pictures (n, 32, 32) are plain: much of them is of one grey, within a few levels."""
    counts = np.zeros((len(smalls), 256 + 2 * _NEAR + 1), dtype=np.int64)
    rows = np.repeat(np.arange(len(smalls)), SIDE * SIDE)
    np.add.at(counts, (rows, smalls.reshape(-1).astype(np.int64) + _NEAR + 1), 1)
    sums = counts.cumsum(axis=1)
    most = (sums[:, 2 * _NEAR + 1 :] - sums[:, : -(2 * _NEAR + 1)]).max(axis=1, initial=0)
    found: NDArray[np.bool_] = most >= PLAIN * SIDE * SIDE
    return found


def views(image: Image.Image) -> View:
    """An RGB picture at the sizes at which it is looked at: more of them if it is large."""
    from PIL import Image

    sizes = [size for size, (least, _) in _SIZES.items() if min(image.size) >= least]
    return [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8) for size in sizes]


def differences(
    left: Sequence[View], right: Sequence[View], smalls: tuple[Small, Small], *, flips: bool, smallest: int = SMALLEST
) -> NDArray[np.float64]:
    """(p,) how much p pictures differ from their partners where they differ most, as a share of their contrast.

    The pictures are laid over each other where their grey versions `overlap` best, and moved by less than a pixel of
    that; a change of brightness or contrast of the whole picture is taken back. What is left is averaged over small
    windows, because the edges of a copy that was resized or encoded again differ, and the largest counts, because
    different drawings are alike almost everywhere. 0 is no difference, 1 a black shape where the other one is white.

    Args:
        left: (p,) `views` of pictures.
        right: (p,) those of their partners.
        smalls: grey pictures (p, 32, 32) of both.
        flips: also look at mirror images.
        smallest: what part of the other one a picture may be, in 32nds of the side.
    """
    found = best_windows(*smalls, flips=flips, smallest=smallest)
    return np.array([_difference(a, b, found, row) for row, (a, b) in enumerate(zip(left, right, strict=True))])


def _difference(left: View, right: View, windows: Windows, row: int) -> float:
    """Of one pair: where it overlaps best, or else as a whole, which noise in a picture of little detail may hide."""
    inner, outer = (right, left) if windows.swapped[row] else (left, right)
    place = Place(int(windows.width[row]), int(windows.top[row]), int(windows.left[row]))
    turned = [picture[:, ::-1] for picture in inner] if windows.mirrored[row] else inner
    found = _refined(turned, outer, place)
    return found if found <= DIFFERENT else min(found, _refined(left, right, Place(SIDE, 0, 0)))


def _refined(inner: View, outer: View, place: Place) -> float:
    """The least difference around a window of the smallest picture, from coarse to fine; soon given up without hope."""
    least = np.inf
    for level, (a, b) in enumerate(zip(inner, outer, strict=False)):
        least, place = _best(a.astype(np.float32), b.astype(np.float32), place.doubled() if level else place)
        if least > _HOPELESS:
            break
    return float(least)


class Place(NamedTuple):
    """A square window of a picture, in px."""

    width: int
    top: int
    left: int

    def doubled(self) -> Place:
        """The same window of the picture at twice the size."""
        return Place(2 * self.width, 2 * self.top, 2 * self.left)

    def around(self, size: int) -> Iterator[Place]:
        """This window of a picture of `size` px and those next to it, the smaller ones first."""
        steps = (-1, 0, 1)
        for width in (self.width + step for step in steps if self.width + step <= size):
            for top, left in product((self.top + step for step in steps), (self.left + step for step in steps)):
                if min(top, left) >= 0 and max(top, left) + width <= size:
                    yield Place(width, top, left)


def _best(inner: Floats, outer: Floats, place: Place) -> tuple[float, Place]:
    """How much `inner` (s, s, 3), shrunk, differs at least from a window of `outer` (s, s, 3) at `place`; and where."""
    size = len(outer)
    side = _SIZES[size][1]
    means, least = _means(outer, side), (np.inf, place)
    contrast = max(_contrast(means), _contrast(_means(inner, side)), _LEAST_CONTRAST)
    shrunk: dict[int, Floats] = {}
    for window in place.around(size):
        if window.width not in shrunk:
            by = shrinking(window.width, size)
            shrunk[window.width] = _means(np.einsum("ij,jkc,lk->ilc", by, inner, by, optimize=True), side)
        end = window.width - side + 1
        part = means[window.top : window.top + end, window.left : window.left + end]
        step = 1 if size == SIDE else 2
        left = _left(shrunk[window.width][::step, ::step].reshape(-1, 3), part[::step, ::step].reshape(-1, 3))
        least = min(least, (left / contrast, window))
    return least


def _left(a: Floats, b: Floats) -> float:
    """The largest difference of colours (n, 3) and (n, 3) after the best change of brightness of all of them."""
    clear = np.maximum(a, b) < _SATURATED
    return min(_after_line(a, b), _after_gain(a, b, clear), _after_gain(b, a, clear))


def _after_line(a: Floats, b: Floats) -> float:
    """The same, after a change of contrast and brightness: one gain and one shift for all channels."""
    centre, other = a.mean(), b.mean()
    spread = float(np.square(a - centre).mean())
    gain = np.clip(float(((a - centre) * (b - other)).mean()) / max(spread, 1e-6), *_GAINS)
    shift = np.clip(other - gain * centre, (1 - gain) * 128 - _SHIFT, (1 - gain) * 128 + _SHIFT)
    return float(np.abs(b - gain * a - shift).max())


def _after_gain(a: Floats, b: Floats, clear: NDArray[np.bool_]) -> float:
    """The same, after every level was multiplied; what would be over white is white, as all but `clear` (n, 3) are."""
    known = a[clear]
    gain = float(known @ b[clear]) / max(float(known @ known), 1e-6) if len(known) else 1.0
    return float(np.abs(b - np.minimum(np.clip(gain, *_GAINS) * a, 255)).max())


def _means(picture: Floats, side: int) -> Floats:
    """(s - side + 1, s - side + 1, 3) the mean colours of all square windows of a picture (s, s, 3)."""
    by = _averaging(len(picture), side)
    return np.asarray(np.einsum("ij,jkc,lk->ilc", by, picture, by, optimize=True), dtype=np.float32)


def _contrast(means: Floats) -> float:
    """The largest range of a channel."""
    flat = means.reshape(-1, 3)
    return float((flat.max(axis=0) - flat.min(axis=0)).max())


@cache
def _averaging(size: int, side: int) -> Floats:
    """(size - side + 1, size) the mean of every `side` neighbours."""
    return np.stack([np.eye(size, dtype=np.float32)[k : k + side].mean(axis=0) for k in range(size - side + 1)])
