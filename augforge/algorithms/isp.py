"""A camera: an image is taken back to what a sensor would have measured, gets its noise, and is developed again.

In the manner of *All You Need is RAW* (Xu et al., ECCV 2024), which does it with networks, and of *Unprocessing Images
for Learned Raw Denoising* (Brooks et al., CVPR 2019), which has it as arithmetic: tone curve, gamma, colour matrix and
white balance are inverted, and a Bayer mosaic keeps one colour for each pixel.

A mosaic loses two thirds of the numbers, so that no way leads back from it: an interpolated image is less sharp than
the one before, and has other colours along edges. Interpolation is linear, however: of a mosaic with noise it gives
the interpolated mosaic and the interpolated noise. `reshoot` adds the latter to the linear image as it was before the
mosaic, and with it `loss` of what the mosaic would have taken away. With a loss of 0, and neither noise nor errors,
the camera is the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.light import from_light, to_light
from augforge.data.ids import rng

Values = NDArray[Any]
"""Numbers of 32 or 64 bits: what comes out has as many as what went in."""
PATTERNS = ("rggb", "bggr", "grbg", "gbrg")
"""The colours of the four pixels of a cell, row by row."""
LEAST_SHOT, MOST_SHOT = 1e-4, 1.2e-2
RED, BLUE = (1.9, 2.4), (1.5, 1.9)
CROSSTALK = 0.35
"""The most that a colour of a sensor has of each of the two others."""
KERNEL = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4


def draw_camera(random: np.random.Generator, severity: float, loses: bool) -> dict[str, Any]:
    """A camera and what it does wrong, as JSON: at severity 0 nothing.

    `shot` and `read` are variances of noise, of full scale (those of Brooks et al.), `exposure` is in stops,
    `red-error` and `blue-error` are logarithms of gains. A camera that `loses` detail loses `severity` of it.
    """
    shot = float(np.exp(random.uniform(np.log(LEAST_SHOT), np.log(MOST_SHOT))))
    read = float(np.exp(2.18 * np.log(shot) + 1.2 + random.normal(0, 0.26)))
    mixed = random.uniform(0, CROSSTALK, (3, 3)) * (1 - np.eye(3))
    return {
        "pattern": PATTERNS[int(random.integers(4))],
        "red": float(random.uniform(*RED)),
        "blue": float(random.uniform(*BLUE)),
        "matrix": (np.eye(3) * (1 + mixed.sum(axis=1)[:, None]) - mixed).tolist(),
        "shot": severity * shot,
        "read": severity * read,
        "exposure": severity * float(random.uniform(-1, 1)),
        "red-error": severity * float(random.uniform(-0.15, 0.15)),
        "blue-error": severity * float(random.uniform(-0.15, 0.15)),
        "loss": severity if loses else 0.0,
    }


def reshoot(pixels: NDArray[np.uint8], camera: Mapping[str, Any], seed: int) -> NDArray[np.uint8]:
    """An image (h, w, 3) as the camera that `draw_camera` gave would have taken it; its noise follows from `seed`."""
    linear = unprocess(pixels.astype(np.float32) / np.float32(255), camera) * np.float32(2.0 ** camera["exposure"])
    clean = mosaic(linear, camera["pattern"])
    noisy = clean + sensor_noise(clean, camera["shot"], camera["read"], rng(seed, "sensor"))
    noisy = np.minimum(noisy, np.maximum(clean, 1.0))  # a full well holds no more
    measured = linear
    if (noisy != clean).any():
        measured = measured + demosaic(noisy - clean, camera["pattern"])
    if camera["loss"]:
        measured = measured + np.float32(camera["loss"]) * (demosaic(clean, camera["pattern"]) - linear)
    made: NDArray[np.uint8] = np.rint(process(measured, camera) * 255).astype(np.uint8)
    return made


def unprocess(image: Values, camera: Mapping[str, Any]) -> Values:
    """(h, w, 3) what the sensor measured, linear, of an image in [0, 1]: tone, gamma, colours and gains inverted."""
    light = to_light(_untoned(image))
    back = np.linalg.inv(_matrix(camera)).T / _gains(camera, errors=False)
    return np.asarray(light @ back.astype(image.dtype))


def process(measured: Values, camera: Mapping[str, Any]) -> Values:
    """(h, w, 3) the image in [0, 1] that a camera makes of what it measured."""
    there = _gains(camera, errors=True)[:, None] * _matrix(camera).T
    return _toned(from_light(measured @ there.astype(measured.dtype)))


def mosaic(measured: Values, pattern: str) -> Values:
    """(h, w) the colour of each pixel that its filter lets through, of (h, w, 3)."""
    return np.asarray((measured * _filters(measured.shape[:2], pattern, measured.dtype)).sum(axis=2))


def demosaic(bayer: Values, pattern: str) -> Values:
    """(h, w, 3) each colour as the mean of its nearest pixels, weighted by distance: bilinear, of (h, w).

    Linear in the mosaic, and exact for a constant one. A colour that has no pixel near (in an image of one row) is 0.
    """
    from scipy.ndimage import correlate

    filters = _filters(bayer.shape, pattern, bayer.dtype)
    planes = []
    for colour in range(3):
        passed = filters[..., colour]
        weight = correlate(passed, KERNEL, mode="constant")
        planes.append(correlate(bayer * passed, KERNEL, mode="constant") / np.maximum(weight, 1e-12))
    return np.stack(planes, axis=-1)


def sensor_noise(bayer: Values, shot: float, read: float, random: np.random.Generator) -> Values:
    """(h, w) Gaussian noise of the variance shot * signal + read."""
    if not shot and not read:
        return np.zeros_like(bayer)
    drawn = random.standard_normal(bayer.shape, dtype=np.float32)
    return np.asarray(drawn * np.sqrt(shot * np.maximum(bayer, 0) + read)).astype(bayer.dtype)


def _filters(size: tuple[int, ...], pattern: str, dtype: np.dtype[Any]) -> Values:
    """(h, w, 3) 1 where a pixel has the colour red, green or blue."""
    filters = np.zeros((*size[:2], 3), dtype)
    for place, colour in enumerate(pattern):
        filters[place // 2 :: 2, place % 2 :: 2, "rgb".index(colour)] = 1.0
    return filters


def _matrix(camera: Mapping[str, Any]) -> Values:
    """(3, 3) from the sensor's colours to those of sRGB; rows sum to 1, so that grey stays grey."""
    return np.asarray(camera["matrix"], dtype=np.float64)


def _gains(camera: Mapping[str, Any], errors: bool) -> Values:
    """(3,) what white balance multiplies the colours by."""
    wrong = [camera["red-error"], 0.0, camera["blue-error"]] if errors else [0.0, 0.0, 0.0]
    return np.array([camera["red"], 1.0, camera["blue"]]) * np.exp(wrong)


def _toned(image: Values) -> Values:
    """The S-shaped curve 3 x^2 - 2 x^3 of many cameras."""
    return np.asarray(image * image * (3 - 2 * image))


def _untoned(image: Values) -> Values:
    return np.asarray(0.5 - np.sin(np.arcsin(1 - 2 * image) / 3))
