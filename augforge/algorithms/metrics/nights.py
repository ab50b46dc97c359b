"""How like real nights translated days are, beside the plainest translation: days given the nights' histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.appearance import AppearanceReference, appearance
from augforge.algorithms.metrics.levels import LevelMatch

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class NightReference:
    """What is kept of real days and nights: the table that makes the ones as dark as the others, the nights' looks."""

    match: LevelMatch
    nights: AppearanceReference

    @classmethod
    def of(cls, days: Sequence[Pixels], nights: Sequence[Pixels]) -> NightReference:
        """The reference of pictures (h, w, 3); the days are only there for their histogram."""
        return cls(LevelMatch.between(days, nights), AppearanceReference(statistics(nights)))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NightReference:
        """What `arrays` gave."""
        return cls(LevelMatch(arrays["levels"]), AppearanceReference(np.asarray(arrays["nights"], dtype=np.float64)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`levels` (3, 256) and `nights` (n, d), to be saved."""
        return {"levels": self.match.table, "nights": self.nights.real.astype(np.float32)}

    def darkened(self, days: Sequence[Pixels]) -> list[Pixels]:
        """The baseline: each day (h, w, 3) with its levels changed by one table for all."""
        return [self.match.applied(day) for day in days]

    def distances(self, days: Sequence[Pixels], made: Sequence[Pixels]) -> dict[str, float]:
        """`night_kid` of translations, `darkened_kid` of the days that were translated; nan of fewer than two.

        Both are kernel distances to the real nights, on the statistics of `appearance`. A translation that is farther
        than the darkened day is not worth its training.
        """
        return {
            "night_kid": self.nights.distance(statistics(made)),
            "darkened_kid": self.nights.distance(statistics(self.darkened(days))),
        }


def statistics(pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    """(n, d) what `appearance` says of each of n >= 1 pictures."""
    return np.stack([appearance(picture) for picture in pictures])
