"""How often images are drawn in rounds of a bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000


def draws(images: int, rounds: int = ROUNDS, seed: int = 0) -> NDArray[np.float64]:
    """(rounds, images) how often each image is drawn where as many are drawn with replacement (Efron, 1979)."""
    random = np.random.default_rng(seed)
    drawn: NDArray[np.float64] = random.multinomial(images, np.full(images, 1 / images), size=rounds).astype(np.float64)
    return drawn
