"""Artistic: the image as a cartoon. One operation."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.shifts.base import Among, Between, Pixels, from_unit, grey_of, odd, op, to_unit
from augforge.algorithms.shifts.blur import mean_shift, median
from augforge.algorithms.shifts.colour import quantize_kmeans, saturation_multiply
from augforge.algorithms.shifts.edges import edges_of

LINE = 0.01
"""Width of a line, as a share of the shorter side."""


def cartoon(pixels: Pixels, colours: int, saturation: float) -> Pixels:
    """Flat, strong colours between dark lines."""
    from scipy.ndimage import maximum_filter

    smooth = mean_shift(median(pixels, 0.02), 0.03, 40.0, 2)
    flat = saturation_multiply(quantize_kmeans(smooth, colours), saturation)
    lines = edges_of(grey_of(smooth), 1.0, "otsu", low=1.0, high=1.0)
    thick = maximum_filter(lines, odd(pixels, LINE) if min(pixels.shape[:2]) >= 128 else 1)
    return from_unit(to_unit(flat) * np.where(thick, 0.1, 1.0)[..., None])


OPS = (op("cartoon", cartoon, fades=True, colours=Among((6, 8, 10, 12)), saturation=Between(1.3, 1.8, rest=1)),)
