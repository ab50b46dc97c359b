"""A classifier that looks at each image several times: views of it that are the same for every image and every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from augforge.models.loading import load_classifier
from augforge.models.table import Model

Vectors = NDArray[np.float32]
VIEWS: tuple[tuple[tuple[float, float, float, float], bool], ...] = (
    ((0.0, 0.0, 1.0, 1.0), False),
    ((0.0, 0.0, 1.0, 1.0), True),
    ((0.0, 0.0, 0.9, 0.9), False),
    ((0.1, 0.1, 1.0, 1.0), True),
    ((0.05, 0.05, 0.95, 0.95), False),
)
"""The part of the image that each shows (left, top, right, bottom, as shares of its sides), and whether mirrored."""


def view_of(image: Image.Image, number: int) -> Image.Image:
    """View `number` of an RGB image: the first is the image itself."""
    (left, top, right, bottom), mirrored = VIEWS[number]
    width, height = image.size
    box = round(left * width), round(top * height), round(right * width), round(bottom * height)
    shown = image if box == (0, 0, width, height) or box[2] <= box[0] or box[3] <= box[1] else image.crop(box)
    return ImageOps.mirror(shown) if mirrored else shown


class ClassifierOfViews:
    """A classifier whose vectors are the logits of all views, one view after the other: (5 c,)."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        self._net: Any = load_classifier(model, device)
        self.facts = self._net.facts

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """(n, 5 c) logits of the views of n RGB images, n >= 1, whatever their neighbours."""
        seen = [self._net.embed_images([view_of(image, number) for image in images]) for number in range(len(VIEWS))]
        return np.concatenate(seen, axis=1)
