"""Safety checkers to plug in: good ones and broken ones."""

from __future__ import annotations

import numpy as np

calls: list[int] = []
NOT_A_FUNCTION = 3


def brightness(image):
    """Takes bright pictures for risky."""
    calls.append(1)
    return np.asarray(image.convert("L")).mean() / 255


def raises_on_bright(image):
    """Breaks where it would have to flag."""
    risk = brightness(image)
    if risk > 0.5:
        raise ValueError("no memory left")
    return risk


def nan(image):
    return float("nan")


def two(image):
    return 2


def words(image):
    return "safe"


def nothing(image):
    return None
