"""Edges: dark lines on white, where the image changes (Canny, 1986). One operation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Among, Between, Pixels, Values, grey_of, op
from augforge.optional import require

RULES = ("otsu", "yen", "mean", "isodata", "li")
"""The automatic thresholds of a grey image that scikit-image has under these names."""
LOW, HIGH = 0.5, 1.5
"""Canny's two thresholds, times the automatic one."""


def edge_map(pixels: Pixels, sigma: float = 1.0, rule: str = "otsu", low: float = 1.0, high: float = 1.0) -> Pixels:
    """The edge map of *Crafting Distribution Shifts*: grey, blurred by `sigma` px, Canny, inverted.

    A pixel begins a line where the slope (of a Sobel filter: 4 at a step from black to white) is over 1.5 times the
    automatic threshold of the blurred grey image, and goes on with one down to 0.5 times. `low` and `high` perturb
    the two.
    """
    lines = edges_of(grey_of(pixels), sigma, rule, low, high)
    return np.repeat(np.where(lines, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def edges_of(grey: Values, sigma: float, rule: str, low: float = 1.0, high: float = 1.0) -> NDArray[np.bool_]:
    """(h, w) where an edge runs in a grey image of 0 to 1; nowhere if it is constant."""
    require("skimage")
    from scipy.ndimage import gaussian_filter
    from skimage import feature, filters
    from skimage.morphology import thin

    blurred = gaussian_filter(grey, sigma, mode="nearest")
    if np.ptp(blurred) < 1 / 255:
        return np.zeros(grey.shape, dtype=bool)
    threshold = float(getattr(filters, f"threshold_{rule}")(blurred))
    least = max(LOW * low * threshold, 1e-6)
    lines = feature.canny(grey, sigma, least, max(HIGH * high * threshold, least), mode="nearest")
    single: NDArray[np.bool_] = thin(lines)  # the two pixels beside a step are equally steep
    return single


OPS = (
    op(
        "edge-map",
        edge_map,
        fades=True,
        sigma=Among((0.0, 1.0, 2.0)),
        rule=Among(RULES),
        low=Between(1.0, 1.2, rest=1, signed=True),
        high=Between(1.0, 1.2, rest=1, signed=True),
    ),
)
