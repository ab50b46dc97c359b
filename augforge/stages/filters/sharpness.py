"""Sharpness: the variance of the Laplacian, the usual measure of focus (Pech-Pacheco et al., 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.stages.filter import PixelFilter


class Sharpness(PixelFilter):
    """Keep the sharpest images. A constant image scores 0; the unit is grey levels (0 to 255) squared."""

    name: ClassVar[str] = "sharpness"
    measures: ClassVar[tuple[str, ...]] = ("sharpness",)
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    def measure(self, image: Image.Image) -> dict[str, float]:
        """The sharpness of the grey picture."""
        return {"sharpness": laplacian_variance(np.asarray(image.convert("L"), dtype=np.float64))}


def laplacian_variance(grey: NDArray[np.float64]) -> float:
    """Variance of the 4-neighbour Laplacian of a picture (h, w), over its inner pixels; 0 where it has none."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var())
