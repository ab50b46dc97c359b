"""A closer look at two plain pictures: what is left between them, in colour, when one is laid over the other.

A hash of 64 bits tells photographs apart. Of a drawing, an icon, a digit, a medical slice or a screenshot it says
little more than that something dark is in the middle, so that different ones have hashes as near as those of copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, groupby, product
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
_REGION, _REGION_BOUND = 7, 0.11  # 32nds of the side; by what share of the contrast the means of regions may differ
_GAINS, _SHIFT = (0.8, 1.25), 24
_SATURATED = 250
_LEAST_CONTRAST = 48  # grey levels
_WINDOW = (-2, -1)  # the axes of colours (w, n, 3)


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
    different drawings are alike almost everywhere. Over whole regions edges hardly count and a copy keeps its colours:
    there a difference counts 2.4 times. 0 is no difference, 1 a black shape where the other one is white.

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
    return float(least) if least > DIFFERENT else max(float(least), _of_regions(a, b, place))


def _of_regions(inner: NDArray[np.uint8], outer: NDArray[np.uint8], place: Place) -> float:
    """How much the colours of regions differ at `place`, on the scale of `DIFFERENT`, 1 at most.

    What is left in small windows is averaged over regions, where displaced edges hardly count. Two drawings of one
    shape at one place in other colours are told apart by this.
    """
    size = len(outer)
    side, step = _SIZES[size][1], size // SIDE
    whole = inner.astype(np.float32), outer.astype(np.float32)
    window = whole[1][place.top : place.top + place.width, place.left : place.left + place.width]
    a, b = (_means(part, side)[::step, ::step] for part in (_shrunk(whole[0], place.width), window))
    rests = chain(*(_rests(a.reshape(-1, 3), b.reshape(1, -1, 3), gradual=gradual) for gradual in (False, True)))
    least = min(float(np.abs(_means(rest.reshape(a.shape), _REGION)).max()) for rest in rests)
    contrast = _contrast_of(*(_means(picture, side) for picture in whole))
    return min(least / contrast * DIFFERENT / _REGION_BOUND, 1.0)


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
    side, step = _SIZES[size][1], 1 if size == SIDE else 2
    means, least = _means(outer, side), (np.inf, place)
    contrast = _contrast_of(means, _means(inner, side))
    for width, some in groupby(place.around(size), lambda window: window.width):
        windows, end = list(some), width - side + 1
        shrunk = _means(_shrunk(inner, width), side)[::step, ::step].reshape(-1, 3)
        parts = [means[top : top + end : step, left : left + end : step].reshape(-1, 3) for _, top, left in windows]
        found = _left(shrunk, np.stack(parts) if len(parts) > 1 else parts[0][None]).tolist()
        least = min(least, *((left / contrast, window) for left, window in zip(found, windows, strict=True)))
    return least


def _left(a: Floats, b: Floats) -> Floats:
    """(w,) the largest difference of colours (n, 3) and each of (w, n, 3) after the best change of their brightness."""
    return np.asarray(np.minimum.reduce([np.abs(rest).max(axis=_WINDOW) for rest in _rests(a, b)]), dtype=np.float32)


def _rests(a: Floats, b: Floats, *, gradual: bool = False) -> Iterator[Floats]:
    """(w, n, 3) what is left between colours (n, 3) and each of (w, n, 3) after each kind of change of brightness.

    What may have been white before does not tell the change; if `gradual`, a level tells less the lighter it is,
    because the mean of an edge to white is too dark where white was cut off.
    """
    room = (_SATURATED - np.maximum(a, b)).clip(0)
    weights = room if gradual else (room > 0).astype(np.float32)
    yield _after_line(a, b)
    yield _after_gain(a, b, weights)
    yield _after_gain(b, a, weights)


def _after_line(a: Floats, b: Floats) -> Floats:
    """(w, n, 3) the same, after a change of contrast and brightness: one gain and one shift for all channels."""
    centre, other = a.mean(), b.mean(axis=_WINDOW, keepdims=True)
    spread = float(np.square(a - centre).mean())
    together = ((a - centre) * (b - other)).mean(axis=_WINDOW, keepdims=True).astype(np.float64)
    gain = np.clip(together / max(spread, 1e-6), *_GAINS)
    shift = np.clip(other - gain * centre, (1 - gain) * 128 - _SHIFT, (1 - gain) * 128 + _SHIFT)
    return np.asarray(b - gain * a - shift, dtype=np.float32)


def _after_gain(a: Floats, b: Floats, weights: Floats) -> Floats:
    """(w, n, 3) the same, after every level was multiplied, as levels of `weights` (w, n, 3) say; over white is white.

    Either side may be one for all, (n, 3).
    """
    products = (weights * a * a, weights * a * b)
    known, together = (each.sum(axis=_WINDOW, keepdims=True).astype(np.float64) for each in products)
    gain = np.where(weights.any(axis=_WINDOW, keepdims=True), together / np.maximum(known, 1e-6), 1.0)
    return np.asarray(b - np.minimum(np.clip(gain, *_GAINS) * a, 255), dtype=np.float32)


def _means(picture: Floats, side: int) -> Floats:
    """(s - side + 1, s - side + 1, 3) the mean colours of all square windows of a picture (s, s, 3)."""
    by = _averaging(len(picture), side)
    return _along_both(by, picture)


def _shrunk(picture: Floats, width: int) -> Floats:
    """(width, width, 3) a picture (s, s, 3) made smaller."""
    return _along_both(shrinking(width, len(picture)), picture)


def _along_both(by: Floats, picture: Floats) -> Floats:
    """(m, m, 3) a picture (s, s, 3) times a matrix (m, s), along its columns and its rows."""
    m, s = by.shape
    columns = (picture.transpose(1, 2, 0).reshape(-1, s) @ by.T).reshape(s, 3, m)
    both = (columns.transpose(1, 2, 0).reshape(-1, s) @ by.T).reshape(3, m, m)
    return np.asarray(both.transpose(1, 2, 0), dtype=np.float32)


def _contrast_of(left: Floats, right: Floats) -> float:
    """The larger contrast of the means of two pictures, in grey levels."""
    return max(_contrast(left), _contrast(right), _LEAST_CONTRAST)


def _contrast(means: Floats) -> float:
    """The largest range of a channel."""
    flat = means.reshape(-1, 3)
    return float((flat.max(axis=0) - flat.min(axis=0)).max())


@cache
def _averaging(size: int, side: int) -> Floats:
    """(size - side + 1, size) the mean of every `side` neighbours."""
    return np.stack([np.eye(size, dtype=np.float32)[k : k + side].mean(axis=0) for k in range(size - side + 1)])
