"""Images as squares of one size: stretched whole, or cropped."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from augforge.training.images import Pixels, TrainingImages
from augforge.training.night.views import middle_view, random_view

Fit = Literal["stretch", "crop"]


class Squares:
    """Squares of `size` px of images: `stretch` shows them whole, `crop` a square of them; `flip` mirrors half."""

    def __init__(self, pictures: TrainingImages, size: int, fit: Fit, flip: bool) -> None:
        self.pictures, self.size, self.fit, self.flip = pictures, size, fit, flip

    def drawn(self, index: int, random: np.random.Generator) -> Pixels:
        """(s, s, 3) a view to learn from; a random square of 0.8 to 1 of the shorter side where it is cropped."""
        if self.fit == "crop":
            return random_view(self.pictures.image(index), self.size, random, self.flip)
        view = self.whole(index)
        return view[:, ::-1] if self.flip and random.random() < 0.5 else view

    def whole(self, index: int) -> Pixels:
        """(s, s, 3) the same view at every call; the middle square where it is cropped."""
        picture = self.pictures.image(index)
        if self.fit == "crop":
            return middle_view(picture, self.size)
        sides = (self.size, self.size)
        return np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BICUBIC))

    def spread(self, most: int) -> list[Pixels]:
        """The same views of `most` images at most, evenly of all."""
        count = min(most, len(self.pictures))
        return [self.whole(number * len(self.pictures) // count) for number in range(count)]
