"""What is in the air: fog, rain and snow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Pixels, Values
from augforge.algorithms.shifts.blur import line
from augforge.algorithms.shifts.weather import flakes, snowy_landscape
from augforge.data.ids import rng

Depth = NDArray[np.float64]
BAND = 256
"""Rows of a large image that are computed with 64 bits at once."""
LAYERS = (2.0, 6.0, 18.0)
"""m at which drops and flakes fall."""


def transmittance(depth: NDArray[Any], beta: float) -> NDArray[Any]:
    """(h, w) the share of light that comes through `depth` m of air with an extinction of `beta` per m: e^(-beta d).

    The distance at which a contrast of 2 % is left, the visibility, is 3.912 / beta (Koschmieder).
    """
    return np.asarray(np.exp(-beta * depth))


def through_air(image: NDArray[Any], depth: NDArray[Any], beta: float, airlight: Sequence[float]) -> NDArray[Any]:
    """(h, w, 3) I = J t + A (1 - t): an image J seen through air that is lit up to the colour A where it is endless."""
    passed = transmittance(depth, beta)[..., None].astype(image.dtype)
    seen: NDArray[Any] = image * passed + np.asarray(airlight, image.dtype) * (1 - passed)
    return seen


def fog(pixels: Pixels, depth: Depth, beta: float, airlight: Sequence[float]) -> Pixels:
    """The law of Koschmieder on pixel values, as published fog simulations apply it."""
    return _pixels(through_air(_unit(pixels), depth, beta, airlight))


def rain(pixels: Pixels, depth: Depth, beta: float, streaks: Mapping[str, float], seed: int) -> Pixels:
    """Grey air, a darker scene, and streaks at three distances before what is further away, laid over as light.

    Streaks cover a `share` of the pixels at each distance; `length`, in shares of the shorter side, is that of the
    nearest, and `angle` is in degrees.
    """
    share = streaks["share"]
    image = through_air(_unit(pixels) * np.float32(1 - 1.5 * share), depth, beta, (0.65, 0.67, 0.7))
    for distance in LAYERS:
        near = LAYERS[0] / distance
        kernel = line(_odd(streaks["length"] * near**0.5 * min(depth.shape)), streaks["angle"])
        drops = rng(seed, f"rain {distance}").random(depth.shape, dtype=np.float32) < share / len(kernel)
        fallen = scattered(drops, kernel * len(kernel)).clip(0, 1)
        image = _light_over(image, np.float32(0.45 * near**0.25) * fallen * (depth > distance))
    return _pixels(image)


def snow(pixels: Pixels, depth: Depth, beta: float, lying: float, falling: Mapping[str, float], seed: int) -> Pixels:
    """Snow on what is not bright already, white air, and flakes at three distances before what is further away.

    What is dark becomes `lying` times as light. Flakes cover a `share` of the pixels, `size` is the radius of the
    nearest in shares of the shorter side, and `angle` is in degrees.
    """
    bands = [snowy_landscape(pixels[top : top + BAND], 0.6, lying) for top in range(0, len(pixels), BAND)]
    image = through_air(_unit(np.concatenate(bands)), depth, beta, (0.9, 0.91, 0.93))
    for distance in LAYERS:
        radius = max(0.4, falling["size"] * (LAYERS[0] / distance) ** 0.5 * min(depth.shape))
        found = flakes(depth.shape, radius, falling["share"] / 3, rng(seed, f"snow {distance}"))
        fallen = smear(found.astype(np.float32), line(_odd(2 * radius), falling["angle"]), 0.0).clip(0, 1)
        image = _light_over(image, np.float32(0.9) * fallen * (depth > distance))
    return _pixels(image)


def smear(values: NDArray[Any], kernel: Values, outside: float | None) -> NDArray[Any]:
    """An image or plane convolved with a kernel that is 0 nearly everywhere, such as a line, of the same dtype; beyond
    the border lies `outside`, or what the border shows if None.
    """
    radius = len(kernel) // 2
    pad = [(radius, radius)] * 2 + [(0, 0)] * (values.ndim - 2)
    wide = np.pad(values, pad, mode="edge") if outside is None else np.pad(values, pad, constant_values=outside)
    total = np.zeros_like(values)
    height, width = values.shape[:2]
    for row, column, weight in _taps(kernel[::-1, ::-1]):
        total += weight * wide[row : row + height, column : column + width]
    return total


def scattered(points: NDArray[np.bool_], kernel: Values) -> NDArray[np.float32]:
    """(h, w) as `smear`, of a few points (h, w) in a plane of 0."""
    radius = len(kernel) // 2
    height, width = points.shape
    wide = np.zeros((height + 2 * radius, width + 2 * radius), np.float32)
    rows, columns = np.nonzero(points)
    for row, column, weight in _taps(kernel):
        wide[rows + row, columns + column] += weight  # no two points are the same
    return wide[radius : radius + height, radius : radius + width]


def _taps(kernel: Values) -> Iterator[tuple[int, int, np.float32]]:
    """Where a kernel is not 0, and what it is there."""
    for row, column in zip(*np.nonzero(kernel), strict=True):
        yield int(row), int(column), np.float32(kernel[row, column])


def _light_over(image: NDArray[np.float32], bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """A white layer of a brightness (h, w) over an image, as two slides over each other ("screen")."""
    return 1 - (1 - image) * (1 - bright[..., None])


def _unit(pixels: Pixels) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255)


def _pixels(image: NDArray[np.float32]) -> Pixels:
    made: Pixels = np.rint(image * np.float32(255)).clip(0, 255).astype(np.uint8)
    return made


def _odd(length: float) -> int:
    return 2 * round(length / 2) + 1
