"""Sharpness: the variance of the Laplacian, the usual measure of focus (Pech-Pacheco et al., 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from augforge.stage import PixelFilter


class Sharpness(PixelFilter):
    """Keep the sharpest images. A constant picture scores 0; the unit is grey levels (0 to 255) squared."""

    name: ClassVar[str] = "sharpness"
    measures: ClassVar[tuple[str, ...]] = ("sharpness",)
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    def measure(self, image: Image.Image) -> dict[str, float]:
        """Variance of the 4-neighbour Laplacian of the grey picture, over its inner pixels."""
        grey = np.asarray(image.convert("L"), dtype=np.float64)
        if min(grey.shape) < 3:
            return {"sharpness": 0.0}
        inner = grey[1:-1, 1:-1]
        laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
        return {"sharpness": float(laplacian.var())}
