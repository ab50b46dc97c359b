"""Whether pictures carry a grid: energy at the frequencies of a network's stride, beside that of real pictures.

Transposed convolutions whose kernel is no multiple of their stride reach some pixels more often than others, and leave
a checkerboard: Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.float32]
PERIOD = 4
"""Two doublings leave patterns of 2 and 4 px; the coarser ones of deeper networks are hidden by what is drawn."""
LEAST_SIDE = 32
NEAR = 1 / 64
BESIDE = (1 / 32, 3 / 32)
"""Cycles per pixel around a frequency of the grid, and those on either side that it is compared with."""


def grid_ratio(made: Iterable[Pixels], real: Iterable[Pixels], period: int = PERIOD) -> float:
    """How much more of a grid of `period` px there is in `made` than in `real`: 1 alike, well above 1 a grid.

    At every multiple of 1 / period cycles per pixel, across and down, the power of the spectrum over that beside it;
    the largest quotient of made over real. Brightness and contrast do not matter, and noise or blur of all frequencies
    do little. nan where a set is empty, of one colour, or smaller than 32 px a side.

    Args:
        made, real: pictures (h, w, c) of one size within a set, in any one range.
    """
    of_made, of_real = _peaks(made, period), _peaks(real, period)
    return float(np.max(of_made / of_real)) if len(of_made) and len(of_real) else float("nan")


def _peaks(pictures: Iterable[Pixels], period: int) -> NDArray[np.float64]:
    """(2 * (period // 2),) how far the power at each frequency of the grid stands out, across and down; () if flat."""
    spectra = [found for picture in pictures if (found := _spectra(picture)) is not None]
    if not spectra:
        return np.zeros(0)
    peaks = []
    for power in (np.mean(axis, axis=0) for axis in zip(*spectra, strict=True)):
        frequencies = np.linspace(0, 0.5, len(power))
        for number in range(1, period // 2 + 1):
            away = np.abs(frequencies - number / period)
            beside = (away > BESIDE[0]) & (away <= BESIDE[1])
            peaks.append(power[away <= NEAR].mean() / power[beside].mean())
    return np.array(peaks)


def _spectra(picture: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The power over the frequencies 0 to 1/2 across and down, of a picture's own energy; None if flat or small."""
    pixels = np.asarray(picture, dtype=np.float64)
    pixels = pixels - pixels.mean(axis=(0, 1))
    energy = float((pixels**2).mean())
    if energy == 0 or min(pixels.shape[:2]) < LEAST_SIDE:
        return None
    return _power(pixels, 1) / energy, _power(pixels, 0) / energy


def _power(pixels: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The mean power of all lines along `axis` over an even number of pixels, behind a Hann window."""
    length = pixels.shape[axis] // 2 * 2
    lines = np.moveaxis(pixels, axis, -1)[..., :length] * np.hanning(length)
    return np.asarray((np.abs(np.fft.rfft(lines)) ** 2).mean(axis=(0, 1)))
