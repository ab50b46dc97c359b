"""What is in the air: fog, rain and snow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Pixels, Values, from_unit, to_unit
from augforge.algorithms.shifts.blur import line
from augforge.algorithms.shifts.weather import flakes, snowy_landscape
from augforge.data.ids import rng

LAYERS = (2.0, 6.0, 18.0)
"""m at which drops and flakes fall."""


def transmittance(depth: Values, beta: float) -> Values:
    """(h, w) the share of light that comes through `depth` m of air with an extinction of `beta` per m: e^(-beta d).

    The distance at which a contrast of 2 % is left, the visibility, is 3.912 / beta (Koschmieder).
    """
    return np.asarray(np.exp(-beta * depth))


def through_air(image: Values, depth: Values, beta: float, airlight: Sequence[float]) -> Values:
    """(h, w, 3) I = J t + A (1 - t): an image J seen through air that is lit up to the colour A where it is endless."""
    passed = transmittance(depth, beta)[..., None]
    return image * passed + np.asarray(airlight) * (1 - passed)


def fog(pixels: Pixels, depth: Values, beta: float, airlight: Sequence[float]) -> Pixels:
    """The law of Koschmieder on pixel values, as published fog simulations apply it."""
    return from_unit(through_air(to_unit(pixels), depth, beta, airlight))


def rain(pixels: Pixels, depth: Values, beta: float, streaks: Mapping[str, float], seed: int) -> Pixels:
    """Grey air, a darker scene, and streaks at three distances before what is further away, laid over as light.

    Streaks cover a `share` of the pixels at each distance; `length`, in shares of the shorter side, is that of the
    nearest, and `angle` is in degrees.
    """
    share = streaks["share"]
    image = through_air(to_unit(pixels) * (1 - 1.5 * share), depth, beta, (0.65, 0.67, 0.7))
    for distance in LAYERS:
        near = LAYERS[0] / distance
        kernel = line(_odd(streaks["length"] * near**0.5 * min(depth.shape)), streaks["angle"])
        drops = rng(seed, f"rain {distance}").random(depth.shape) < share / len(kernel)
        fallen = smear(drops.astype(np.float64), kernel * len(kernel), 0.0).clip(0, 1)
        image = _light_over(image, 0.45 * near**0.25 * fallen * (depth > distance))
    return from_unit(image)


def snow(pixels: Pixels, depth: Values, beta: float, lying: float, falling: Mapping[str, float], seed: int) -> Pixels:
    """Snow on what is not bright already, white air, and flakes at three distances before what is further away.

    What is dark becomes `lying` times as light. Flakes cover a `share` of the pixels, `size` is the radius of the
    nearest in shares of the shorter side, and `angle` is in degrees.
    """
    image = through_air(to_unit(snowy_landscape(pixels, 0.6, lying)), depth, beta, (0.9, 0.91, 0.93))
    for distance in LAYERS:
        radius = max(0.4, falling["size"] * (LAYERS[0] / distance) ** 0.5 * min(depth.shape))
        found = flakes(depth.shape, radius, falling["share"] / 3, rng(seed, f"snow {distance}"))
        fallen = smear(found, line(_odd(2 * radius), falling["angle"]), 0.0).clip(0, 1)
        image = _light_over(image, 0.9 * fallen * (depth > distance))
    return from_unit(image)


def smear(values: NDArray[np.float64], kernel: Values, outside: float | None) -> NDArray[np.float64]:
    """An image or plane convolved with a kernel that is 0 nearly everywhere, such as a line; beyond the border lies
    `outside`, or what the border shows if None.
    """
    radius = len(kernel) // 2
    pad = [(radius, radius)] * 2 + [(0, 0)] * (values.ndim - 2)
    wide = np.pad(values, pad, mode="edge") if outside is None else np.pad(values, pad, constant_values=outside)
    total = np.zeros_like(values)
    height, width = values.shape[:2]
    for row, column in zip(*np.nonzero(kernel[::-1, ::-1]), strict=True):
        total += kernel[::-1, ::-1][row, column] * wide[row : row + height, column : column + width]
    return total


def _light_over(image: Values, bright: Values) -> Values:
    """A white layer of a brightness (h, w) over an image, as two slides over each other ("screen")."""
    return 1 - (1 - image) * (1 - bright[..., None])


def _odd(length: float) -> int:
    return 2 * round(length / 2) + 1
