"""Quality: blur, exposure, contrast, entropy, size and shape of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.filter import PixelFilter
from augforge.stages.filters.sharpness import laplacian_variance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


class Quality(PixelFilter):
    """Keep the technically good images, by the measure that `by` names; all are measured in one pass.

    `sharpness`: variance of the Laplacian, in grey levels (0 to 255) squared. `exposure`: mean of the grey picture
    (ITU-R 601 luma), in [0, 1]; both ends are bad, so give `min` and `max`. `clipped`: share of the pixels that are
    fully black or white in it, in [0, 1]; less is better. `contrast`: its standard deviation (RMS contrast; Peli,
    1990), in [0, 0.5]. `entropy`: Shannon's, of its 256 levels, in bits, in [0, 8]. `size`: the shorter side in px.
    `aspect`: the shorter side by the longer, in (0, 1].
    """

    name: ClassVar[str] = "quality"
    measures: ClassVar[tuple[str, ...]] = (
        "quality-sharpness",
        "quality-exposure",
        "quality-clipped",
        "quality-contrast",
        "quality-entropy",
        "quality-size",
        "quality-aspect",
    )
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"quality-clipped"})
    example: ClassVar[Mapping[str, Any]] = {"by": "entropy", "keep": 0.5}

    by: Literal["sharpness", "exposure", "clipped", "contrast", "entropy", "size", "aspect"] = Field(
        "sharpness", description="The measure that the rule looks at."
    )

    def measure(self, image: Image.Image) -> dict[str, float]:
        """The seven measures."""
        import numpy as np

        grey = np.asarray(image.convert("L"))
        counts = np.bincount(grey.ravel(), minlength=256)
        values = [laplacian_variance(grey.astype(np.float64)), *tones(counts), *shape(image.width, image.height)]
        return dict(zip(self.measures, values, strict=True))


def tones(counts: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Mean, share at the ends, standard deviation (of values in [0, 1]) and entropy (bits) of a histogram (256,)."""
    import numpy as np

    shares = counts / counts.sum()
    levels = np.arange(256) / 255
    mean = float(shares @ levels)
    spread = float(np.sqrt(shares @ (levels - mean) ** 2))
    there = shares[shares > 0]
    return mean, float(shares[0] + shares[255]), spread, max(0.0, float(-(there * np.log2(there)).sum()))


def shape(width: int, height: int) -> tuple[float, float]:
    """The shorter side in px, and the shorter side by the longer."""
    return float(min(width, height)), min(width, height) / max(width, height)
