"""Unpaired pictures: random views of days and of nights to learn from, fixed views of others to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from augforge.models.tensors import to_tensor
from augforge.training.images import TrainingImages

Pixels = NDArray[np.uint8]
LEAST_SCALE = 0.8
SHOWN = 6
MOST_HELD_OUT = 32
ENOUGH = 20
"""So many pictures of a kind are needed before a tenth of them is held out."""


class Unpaired:
    """Days and nights as squares of `size` px, `count` of each a batch.

    A tenth of either kind, 32 at most, is held out where there are at least 20; else the training pictures are what is
    looked at. `held_out` counts the days of it.
    """

    def __init__(self, day: TrainingImages, night: TrainingImages, size: int, count: int) -> None:
        self.size, self.count = size, count
        self._day, self._night = day, night
        self._days, days = apart(len(day))
        self._nights, nights = apart(len(night))
        self.held_out = len(days)
        self._seen_days, self._seen_nights = days or self._days, nights or self._nights

    def batch(self, random: np.random.Generator) -> dict[str, Tensor]:
        """`day` and `night`, each (b, 3, s, s) in [-1, 1]: random pictures, cropped and mirrored at random."""
        return {
            "day": self._drawn(self._day, self._days, random),
            "night": self._drawn(self._night, self._nights, random),
        }

    def days(self, most: int = MOST_HELD_OUT) -> list[Pixels]:
        """Fixed views (s, s, 3) of days that are not learnt from."""
        return self._fixed(self._day, self._seen_days, most)

    def nights(self, most: int = MOST_HELD_OUT) -> list[Pixels]:
        """Fixed views (s, s, 3) of nights that are not learnt from."""
        return self._fixed(self._night, self._seen_nights, most)

    def spread(self, most: int) -> tuple[list[Pixels], list[Pixels]]:
        """Fixed views (s, s, 3) of `most` days and `most` nights at most, evenly of all, held out or not."""
        found = []
        for pictures in (self._day, self._night):
            count = min(most, len(pictures))
            found.append(self._fixed(pictures, [number * len(pictures) // count for number in range(count)], count))
        return found[0], found[1]

    def _drawn(self, pictures: TrainingImages, indices: Sequence[int], random: np.random.Generator) -> Tensor:
        chosen = [indices[int(random.integers(len(indices)))] for _ in range(self.count)]
        return torch.stack([to_tensor(random_view(pictures.image(index), self.size, random)) for index in chosen])

    def _fixed(self, pictures: TrainingImages, indices: Sequence[int], most: int) -> list[Pixels]:
        return [middle_view(pictures.image(index), self.size) for index in indices[:most]]


def random_view(picture: Pixels, size: int, random: np.random.Generator, mirror: bool = True) -> Pixels:
    """(size, size, 3): a square of 0.8 to 1 of the shorter side, anywhere in (h, w, 3), resized.

    With `mirror` half of them are mirrored.
    """
    height, width = picture.shape[:2]
    side = random.uniform(LEAST_SCALE, 1) * min(height, width)
    left, top = random.uniform(0, width - side), random.uniform(0, height - side)
    view = _square(picture, left, top, side, size)
    return view[:, ::-1] if mirror and random.random() < 0.5 else view


def middle_view(picture: Pixels, size: int) -> Pixels:
    """(size, size, 3): the largest square in the middle of (h, w, 3), resized."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return _square(picture, (width - side) / 2, (height - side) / 2, side, size)


def _square(picture: Pixels, left: float, top: float, side: float, size: int) -> Pixels:
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC, box))


def apart(count: int) -> tuple[list[int], list[int]]:
    """The indices to learn from, and those held out: pictures come sorted by hashes, so every tenth is a random one."""
    held = list(range(0, count, 10))[:MOST_HELD_OUT] if count >= ENOUGH else []
    return sorted(set(range(count)) - set(held)), held
