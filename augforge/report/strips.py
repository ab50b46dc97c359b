"""The pictures that go with an image, beside each other in one: what the report shows below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data.pictures import INSTANCES, kind_of
from augforge.report.colours import palette

GAP = 4
"""px between two pictures."""


def strip(pictures: Mapping[str, bytes], side: int) -> Image.Image:
    """RGB, `side` px high: each picture scaled to that height. BadImage if one cannot be decoded."""
    each = [_scaled(shown(name, kind_of(name).decoded(data)), side) for name, data in pictures.items()]
    width = sum(one.width for one in each) + GAP * (len(each) - 1)
    whole = Image.new("RGB", (width, side), "white")
    left = 0
    for one in each:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    return whole


def shown(name: str, pixels: NDArray[Any]) -> Image.Image:
    """A picture in colours for people: a colour for each instance, greys from near (dark) to far for other numbers."""
    if pixels.ndim == 3:
        return Image.fromarray(pixels)
    if name == INSTANCES:
        places = np.unique(pixels, return_inverse=True)[1].reshape(pixels.shape)
        return Image.fromarray(palette()[places % 255 + (pixels > 0)][..., :3])
    known = pixels[pixels > 0]
    low, high = (int(known.min()), int(known.max())) if known.size else (0, 1)
    greys = (pixels.astype(np.float64) - low).clip(0) / max(1, high - low) * 215 + 40
    return Image.fromarray(np.where(pixels > 0, greys, 0).astype(np.uint8)).convert("RGB")


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((max(1, round(picture.width * side / picture.height)), side), Image.Resampling.NEAREST)
