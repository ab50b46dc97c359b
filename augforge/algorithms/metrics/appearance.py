"""What a picture looks like in some eighty numbers, without any weights: light, colour, detail, and where the light is.

Natural pictures have regular statistics of filter responses, which distortions break: Mittal et al., "Making a
Completely Blind Image Quality Analyzer", IEEE SPL 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from augforge.algorithms.metrics.distances import kernel_distance

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
LUMA = np.array((0.299, 0.587, 0.114))
LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
SCALES = (0.7, 1.4, 2.8, 5.6)
"""Standard deviations in px of the Gaussians whose differences are the bands of detail."""
CELLS = 4
FLOOR = 1e-3
"""In parts of full brightness: detail weaker than a quarter of a grey level is none."""
FAR = 3.0
"""Deviations beyond which a statistic is only far: the cube of the kernel would let one picture decide."""


def appearance(picture: Pixels) -> Floats:
    """(85,) the statistics of a picture (h, w, 3) of 16 px or more a side.

    Of the brightness, and of red and of blue beside it: seven quantiles, and for four bands of detail, an octave each,
    the logarithm of their deviation, how evenly it is spread, and how neighbours across and down correlate. At last
    the mean brightness of 4 by 4 cells.
    """
    pixels = picture / 255
    light = pixels @ LUMA
    planes = (light, pixels[..., 0] - light, pixels[..., 2] - light)
    found = [np.quantile(plane, LEVELS) for plane in planes]
    found += [_detail(band) for plane in planes for band in _bands(plane)]
    strips = np.array_split(light, CELLS)
    cells = [cell.mean() for strip in strips for cell in np.array_split(strip, CELLS, axis=1)]
    return np.concatenate([*found, np.array(cells)])


@dataclass(frozen=True)
class AppearanceReference:
    """The statistics (n, d) of real pictures that others are compared with; see `distance`."""

    real: Floats

    def distance(self, others: Floats) -> float:
        """The kernel distance of KID between `real` and the statistics (m, d) of other pictures; nan of fewer than 2.

        In deviations of the real pictures from their mean, squashed to 3 at most. 0 or less: no difference to be seen.
        """
        if min(len(self.real), len(others)) < 2:
            return float("nan")
        return kernel_distance(self._standard(self.real), self._standard(others))

    def _standard(self, rows: Floats) -> Floats:
        deviation = self.real.std(axis=0) + FLOOR
        return np.asarray(FAR * np.tanh((rows - self.real.mean(axis=0)) / deviation / FAR))


def _bands(plane: Floats) -> list[Floats]:
    smooth = [plane, *(ndimage.gaussian_filter(plane, sigma, mode="nearest") for sigma in SCALES)]
    return [fine - coarse for fine, coarse in pairwise(smooth)]


def _detail(band: Floats) -> Floats:
    """(4,) the logarithm of the deviation, the mean absolute value over it, the correlations of neighbours."""
    variance = float((band**2).mean() + FLOOR**2)
    across, down = (band[:, 1:] * band[:, :-1]).mean(), (band[1:] * band[:-1]).mean()
    return np.array((np.log(variance) / 2, np.abs(band).mean() / variance**0.5, across / variance, down / variance))
