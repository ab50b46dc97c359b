"""Negatives that keep all pixels and lose what they show: square patches, turned in their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def turn_patches(
    pixels: NDArray[np.uint8], share: float, random: np.random.Generator, cells: int = 8
) -> NDArray[np.uint8]:
    """An image (h, w, 3) of whose patches about `share` are turned by 90, 180 or 270 degrees, each as likely.

    Patches are squares of which `cells` fit into the shorter side; what is left over at the lower right stays, and in
    an image with a shorter side under `cells` px a patch is one pixel. With a larger share, the same patches and more
    are turned, by the same angles. (The published code draws no turn among the angles, too, so that fewer patches turn
    than its probability says.)
    """
    turned = pixels.copy()
    side = max(1, min(pixels.shape[:2]) // cells)
    down, right = pixels.shape[0] // side, pixels.shape[1] // side
    chosen, quarters = random.random((down, right)) < share, random.integers(1, 4, size=(down, right))
    for row, column in zip(*np.nonzero(chosen), strict=True):
        place = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        turned[place] = np.rot90(pixels[place], quarters[row, column])
    return turned
