"""Colours that change smoothly from place to place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.fields.spectrum import FieldSpec, node_field

Unit = NDArray[np.float32]
GREY = np.array([0.299, 0.587, 0.114], np.float32)
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def recolour(pixels: NDArray[np.uint8], seed: int, fields: Sequence[FieldSpec]) -> NDArray[np.uint8]:
    """An image (h, w, 3) whose parameters of colour, in the order given, are random fields; of amplitude 0, none.

    `brightness` multiplies by e^f, `contrast` what differs from the mean of the image, `saturation` what differs from
    grey, and `hue` turns the colours by f turns.
    """
    values: Unit | None = None
    for spec in fields:
        if spec.amplitude:
            values = pixels.astype(np.float32) / np.float32(255) if values is None else values
            values = np.clip(COLOURS[spec.parameter](values, _at_pixels(pixels.shape[:2], spec, seed)), 0, 1)
    return pixels.copy() if values is None else np.rint(values * 255).astype(np.uint8)


def _at_pixels(size: tuple[int, ...], spec: FieldSpec, seed: int) -> Unit:
    """(h, w, 1) a field at every pixel."""
    from PIL import Image

    nodes = Image.fromarray(node_field((size[0], size[1]), spec, seed).astype(np.float32))
    return np.asarray(nodes.resize((size[1], size[0]), Image.Resampling.BILINEAR))[..., None]


def _brightness(values: Unit, field: Unit) -> Unit:
    return values * np.exp(field)


def _contrast(values: Unit, field: Unit) -> Unit:
    mean = (values @ GREY).mean()
    moved: Unit = mean + (values - mean) * np.exp(field)
    return moved


def _saturation(values: Unit, field: Unit) -> Unit:
    grey = (values @ GREY)[..., None]
    moved: Unit = grey + (values - grey) * np.exp(field)
    return moved


def _hue(values: Unit, field: Unit) -> Unit:
    """Turned about the grey axis of YIQ, so that the luminance stays."""
    y, i, q = np.moveaxis(values @ TO_YIQ.T.astype(np.float32), -1, 0)
    cos, sin = np.cos(2 * np.pi * field[..., 0]), np.sin(2 * np.pi * field[..., 0])
    turned = np.stack([y, cos * i - sin * q, sin * i + cos * q], axis=-1)
    back: Unit = turned @ np.linalg.inv(TO_YIQ).T.astype(np.float32)
    return back


COLOURS: dict[str, Callable[[Unit, Unit], Unit]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
"""What the parameters of colour do to an image (h, w, 3) in [0, 1], given a field (h, w, 1)."""
