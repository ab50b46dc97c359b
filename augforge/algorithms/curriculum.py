"""MADAug's curriculum: which share of the augmented images a training has got to (Hou et al., ICCV 2023)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WARM_UP, START = 40, 0.01
"""Epochs, and the share at epoch 0, as published."""


def share_at(epoch: int, warm_up: float = WARM_UP, start: float = START) -> float:
    """The share of the augmented images that epoch `epoch` (from 0) uses: tanh(epoch / warm_up) + start, at most 1.

    It never falls. Of the published numbers the formula passes 1 from epoch 106 on.
    """
    return min(1.0, math.tanh(epoch / warm_up) + start)


def within(difficulty: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """(m,) the places of those that a `share` in [0, 1] uses, in order: the easiest ones, and all that are NaN.

    Args:
        difficulty: (n,) of each image, NaN for those that are not augmented. Of equal ones the first is the easiest.
        share: of the augmented ones, rounded to whole images. A larger share uses all that a smaller one does.
    """
    import numpy as np

    augmented = np.flatnonzero(~np.isnan(difficulty))
    order = augmented[np.argsort(difficulty[augmented], kind="stable")]
    used = np.isnan(difficulty)
    used[order[: math.floor(share * len(order) + 0.5)]] = True
    return np.flatnonzero(used)
