"""Sharpness: the variance of the Laplacian, the usual measure of focus (Pech-Pacheco et al., 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.stages.filter import PixelFilter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.algorithms.rules import Scale


class Sharpness(PixelFilter):
    """Keep the sharpest images. A constant image scores 0; the unit is grey levels (0 to 255) squared.

    It grows with the contrast and falls with the size of an image, so no threshold fits all data. By default outliers
    are dropped, on a logarithmic scale: what is many times less sharp than the other images of its class.
    """

    name: ClassVar[str] = "sharpness"
    measures: ClassVar[tuple[str, ...]] = ("sharpness",)
    scales: ClassVar[Mapping[str, Scale]] = {"sharpness": "log"}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    def measure(self, image: Image.Image) -> dict[str, float]:
        """The sharpness of the grey picture."""
        import numpy as np

        return {"sharpness": laplacian_variance(np.asarray(image.convert("L"), dtype=np.float64))}


def laplacian_variance(grey: NDArray[np.float64]) -> float:
    """Variance of the 4-neighbour Laplacian of a picture (h, w), over its inner pixels; 0 where it has none."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var())
