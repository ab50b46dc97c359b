"""Gaussian random fields of a given spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import rng

Values = NDArray[np.float64]
Size = tuple[int, int]
NODES = 96
"""Intervals along the shorter side of an image, at whose ends a field is drawn: finer detail it has none."""
MOST_NODES = 1024
"""Intervals along the longer side: of an image over ten times as long as wide, a field has less detail."""


class FieldSpec(NamedTuple):
    """The field of one parameter.

    `amplitude` is its standard deviation, in the unit of the parameter; `correlation` its correlation length in shares
    of the shorter side; `exponent` how fast its power falls with the frequency, over 2.
    """

    parameter: str
    amplitude: float
    correlation: float
    exponent: float


def periodic_field(size: Size, spacing: float, spec: FieldSpec, random: np.random.Generator) -> Values:
    """(h, w) of mean 0 and the standard deviation `amplitude`, over all draws; opposite edges meet.

    `spacing` is the distance of two neighbours. The power at a frequency k is proportional to
    (k^2 + k0^2)^(-exponent/2), where k0 = 1 / (2 pi correlation): a Matérn field of smoothness exponent/2 - 1.
    White noise goes through the square root of that; with a very long correlation all that remains is one number.
    """
    from scipy import fft

    down, right = fft.fftfreq(size[0], spacing), fft.rfftfreq(size[1], spacing)
    lowest = 1 / (2 * np.pi * spec.correlation)
    relative = (down[:, None] ** 2 + right**2) / lowest**2 + 1
    power = relative ** (-spec.exponent / 2)
    twice = np.full(right.shape, 2.0)  # a real field has each frequency twice, but for the first and an even last
    twice[0] = 1.0
    if size[1] % 2 == 0:
        twice[-1] = 1.0
    variance = (power * twice).sum() / (size[0] * size[1])
    white = fft.rfft2(random.standard_normal(size))
    field: Values = fft.irfft2(white * np.sqrt(power / variance), s=size) * spec.amplitude
    return field


def gaussian_field(size: Size, spec: FieldSpec, random: np.random.Generator) -> Values:
    """(h, w) a field whose opposite edges have nothing to do with each other: the corner of one twice as large."""
    return periodic_field(_twice(size), 1 / min(size), spec, random)[: size[0], : size[1]]


def node_field(size: Size, spec: FieldSpec, seed: int) -> Values:
    """(rows + 1, columns + 1) the field of one parameter at the nodes of an image of `size`, NODES intervals along the
    shorter side: of pictures of one shape it is the same, however large they are.
    """
    nodes = node_count(size)
    field = periodic_field(_twice(nodes), 1 / _intervals(size), spec, rng(seed, f"field {spec.parameter}"))
    return field[: nodes[0], : nodes[1]]


def node_count(size: Size) -> Size:
    """Nodes down and across an image of `size`."""
    side, intervals = min(size), _intervals(size)
    return round(intervals * size[0] / side) + 1, round(intervals * size[1] / side) + 1


def _intervals(size: Size) -> int:
    return max(1, min(NODES, MOST_NODES * min(size) // max(size)))


def _twice(size: Size) -> Size:
    """At least twice as high and wide, and soon transformed."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(2 * size[0], real=True)), int(next_fast_len(2 * size[1], real=True))
