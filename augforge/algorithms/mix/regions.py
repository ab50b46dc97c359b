"""The rectangles of CutMix and ResizeMix in whole pixels, and the share of the image that they are."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px, the last two beyond the box."""
Size = tuple[int, int]
"""Height and width in px."""


def cut_box(share: float, centre: tuple[float, float], size: Size) -> Box:
    """The box of CutMix (Yun et al., ICCV 2019): as wide to its height as the image, around a point, cut at the border.

    Args:
        share: of the image, in [0, 1], that the box has before it is rounded and cut.
        centre: x and y of its middle, as shares of the width and the height in [0, 1).
        size: of the image.
    """
    spans = []
    for length, place in zip(size[::-1], centre, strict=True):
        side = math.floor(length * math.sqrt(share) + 0.5)
        start = math.floor(place * length) - side // 2
        spans.append((max(0, start), min(length, start + side)))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def shrunk(scale: float, size: Size) -> Size:
    """The size that ResizeMix (Qin et al., 2020) gives the whole second image: `scale` of each side, at least 1 px."""
    height, width = (max(1, math.floor(side * scale + 0.5)) for side in size)
    return height, width


def place_box(inner: Size, place: tuple[float, float], size: Size) -> Box:
    """Where something of the size `inner` lies wholly inside an image: at a share `place` (x, y) of the room."""
    height, width = inner
    left = math.floor(place[0] * (size[1] - width + 1))
    top = math.floor(place[1] * (size[0] - height + 1))
    return left, top, left + width, top + height


def area_share(box: Box, size: Size) -> float:
    """The share of an image that a box is: of the pixels that it has, not of those that were asked for."""
    left, top, right, bottom = box
    return float(Fraction(max(0, right - left) * max(0, bottom - top), size[0] * size[1]))


def window(box: Box, size: Size) -> NDArray[np.bool_]:
    """(h, w) which pixels of an image lie in a box."""
    inside = np.zeros(size, dtype=bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    return inside
