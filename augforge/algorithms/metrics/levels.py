"""Matching histograms: the plainest way to make days as dark and as coloured as nights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class LevelMatch:
    """A table (3, 256) uint8 that gives every level of each channel a new one."""

    table: Pixels

    @classmethod
    def between(cls, sources: Iterable[Pixels], targets: Iterable[Pixels]) -> LevelMatch:
        """What gives all `sources` (h, w, 3) together the histogram of all `targets`, as well as a table can.

        Each picture counts alike, whatever its size. A level becomes the least one at which the targets' cumulative
        histogram reaches its own (Gonzalez & Woods, "Digital Image Processing", 3.3).
        """
        have, wanted = _cumulative(list(sources)), _cumulative(list(targets))
        rows = [np.searchsorted(want, own - 1e-9) for own, want in zip(have, wanted, strict=True)]
        return cls(np.minimum(rows, 255).astype(np.uint8))

    def applied(self, picture: Pixels) -> Pixels:
        """The picture (h, w, 3) with its new levels."""
        return np.stack([self.table[channel][picture[..., channel]] for channel in range(3)], axis=-1)


def _cumulative(pictures: Sequence[Pixels]) -> NDArray[np.float64]:
    """(3, 256) the mean over the pictures of each channel's cumulative histogram."""
    total = np.zeros((3, 256))
    for picture in pictures:
        counts = [np.bincount(picture[..., channel].ravel(), minlength=256) for channel in range(3)]
        total += np.cumsum(counts, axis=1) / picture[..., 0].size
    return total / max(1, len(pictures))
