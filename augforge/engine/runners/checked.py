"""What a generator gives is looked at before it is stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augforge.stages.generator import GeneratedImage, Generator
from augforge.stages.generators.operator import OperatorGenerator

TOLERANCE = 1e-3  # how far a pixel may lie outside [0, 1]: rounding, not another range
Pixels = NDArray[np.float32] | NDArray[np.uint8]


def checked(stage: Generator, images: Sequence[GeneratedImage], count: int) -> Sequence[GeneratedImage]:
    """The images of a full batch of `count`; a generator that gives something else is defective.

    Raises:
        ValueError: there are more or fewer, or one is not float (h, w, 3) in [0, 1] (NaN is allowed), nor uint8 of an
            operator.
    """
    if len(images) != count:
        raise ValueError(f"generate: {stage.name} gave {len(images)} images for a batch of {count}")
    for image in images:
        _check_type(stage, image.pixels)
        if image.pixels.dtype != np.uint8:
            _check_range(stage, image.pixels)
    return images


def _check_type(stage: Generator, pixels: Pixels) -> None:
    whole = pixels.dtype == np.uint8 and isinstance(stage, OperatorGenerator)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not (whole or np.issubdtype(pixels.dtype, np.floating)):
        raise ValueError(f"generate: {stage.name} gave {pixels.dtype} {pixels.shape}, not float (height, width, 3)")


def _check_range(stage: Generator, pixels: Pixels) -> None:
    finite = np.isfinite(pixels)
    known = pixels if finite.all() else pixels[finite]  # a copy only where something is missing
    if known.size and (known.min() < -TOLERANCE or known.max() > 1 + TOLERANCE):
        raise ValueError(f"generate: {stage.name} gave values {known.min():g} to {known.max():g}, not within 0 to 1")
