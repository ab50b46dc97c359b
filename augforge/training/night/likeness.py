"""How like real nights translated days are, beside the plainest translation: days given the nights' histogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics import AppearanceReference, LevelMatch, appearance, grid_ratio

Pixels = NDArray[np.uint8]
MOST = 128
"""Real pictures of a kind at most that the others are compared with."""


class Likeness:
    """Real days and nights, each (s, s, 3), that translations are compared with.

    Args:
        nights: what is compared with; `days` are only there for their histogram.
    """

    def __init__(self, days: Sequence[Pixels], nights: Sequence[Pixels]) -> None:
        self.match = LevelMatch.between(days, nights)
        self._nights = nights
        self._reference = AppearanceReference(_statistics(nights))

    def darkened(self, days: Sequence[Pixels]) -> list[Pixels]:
        """The baseline: each day (h, w, 3) with its levels changed by one table for all."""
        return [self.match.applied(day) for day in days]

    def measures(self, days: Sequence[Pixels], made: Sequence[Pixels]) -> dict[str, float]:
        """`night_kid`, `darkened_kid` and `grid_ratio` of days and their translations.

        The first two are kernel distances to real nights, of translations and of darkened days, on the statistics of
        `appearance`; a translation that is farther than the darkened day is not worth its training. nan of fewer.
        """
        return {
            "night_kid": self._distance(made),
            "darkened_kid": self._distance(self.darkened(days)),
            "grid_ratio": grid_ratio(made, self._nights),
        }

    def _distance(self, pictures: Sequence[Pixels]) -> float:
        if min(len(pictures), len(self._nights)) < 2:
            return float("nan")
        return self._reference.distance(_statistics(pictures))


def _statistics(pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    return np.stack([appearance(picture) for picture in pictures])
