"""What is said of the nights that were made: how far they are from real ones, and how far darkened days would be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.metrics import NightReference, appearance
from augforge.training.night.views import middle_view

MOST = 1000
"""Images at most that are looked at."""


class MadeNights:
    """The nights that one process made, as squares of the `size` px that the model was trained on."""

    def __init__(self, reference: NightReference | None, size: int) -> None:
        self._reference, self._size = reference, size
        self._made: dict[str, NDArray[np.float64]] = {}
        self._darkened: dict[str, NDArray[np.float64]] = {}

    def add(self, name: str, day: Image.Image, night: NDArray[np.float32]) -> None:
        """See a day and its translation (h, w, 3) in [0, 1], once under each name."""
        if self._reference is None or name in self._made or len(self._made) == MOST or not np.isfinite(night).all():
            return
        pixels = np.rint(night * 255).clip(0, 255).astype(np.uint8)
        darkened = self._reference.match.applied(middle_view(np.asarray(day), self._size))
        self._made[name] = appearance(middle_view(pixels, self._size))
        self._darkened[name] = appearance(darkened)

    def summary(self) -> str:
        """How far they are from the real nights of the training; "" of fewer than two, or of a model without them."""
        if self._reference is None or len(self._made) < 2:
            return ""
        nights = self._reference.nights
        made, dark = (nights.distance(np.stack(list(seen.values()))) for seen in (self._made, self._darkened))
        verdict = (
            "" if made < dark else ": this model draws worse nights than changing the levels would; train it longer"
        )
        return (
            f"distance of {len(self._made):,} made images to real nights {made:.1f}, "
            f"of the same days darkened to their histogram {dark:.1f} (0 is alike){verdict}"
        )
