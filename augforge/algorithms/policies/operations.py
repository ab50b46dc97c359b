"""The operations: of Pillow images, as torchvision applies them to such, and of what is annotated in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from augforge.algorithms.geometry import Geometry, Linear, Op, Shift
from augforge.algorithms.policies.pixels import Pixels, invert, posterize, sharpen, solarize

Steps = Sequence[tuple[str, float]]
"""Operations with their magnitudes, in their order."""
Picture = Image.Image | Pixels
Interpolation = Literal["nearest", "bilinear"]
WAYS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}

ON_IMAGES: Mapping[str, Callable[[Image.Image, float], Image.Image]] = {
    "Identity": lambda image, m: image,
    "Color": lambda image, m: ImageEnhance.Color(image).enhance(1 + m),
    "AutoContrast": lambda image, m: ImageOps.autocontrast(image),
    "Equalize": lambda image, m: ImageOps.equalize(image),
}
"""Operations of Pillow images. Magnitudes: a factor less 1."""
ON_ARRAYS: Mapping[str, Callable[[Pixels, float], Pixels]] = {
    "Brightness": lambda pixels, m: _away_from(pixels, 0, 1 + m),
    "Contrast": lambda pixels, m: _away_from(pixels, _mean_grey(pixels), 1 + m),
    "Sharpness": lambda pixels, m: sharpen(pixels, 1 + m),
    "Posterize": lambda pixels, m: posterize(pixels, int(m)),
    "Solarize": lambda pixels, m: solarize(pixels, m),
    "Invert": lambda pixels, m: invert(pixels),
}
"""Operations of arrays. Magnitudes: a factor less 1, bits that are kept, the share of 255 from which values are
inverted."""
PHOTOMETRIC = (*ON_IMAGES, *ON_ARRAYS)
GEOMETRIC: Mapping[str, Callable[[float, int, int], Op]] = {
    "ShearX": lambda m, height, width: Linear((1, math.tan(_angle(m)), 0, 0, 1, 0)),
    "ShearY": lambda m, height, width: Linear((1, 0, 0, math.sin(_angle(m)) / math.cos(_angle(m)), 1, 0)),
    "TranslateX": lambda m, height, width: Shift(0, int(m)),
    "TranslateY": lambda m, height, width: Shift(int(m), 0),
    "Rotate": lambda m, height, width: _rotated(m, height, width),
}
"""Magnitudes: px sideways for each px down (about the upper left corner), whole px, degrees counter-clockwise."""


def applied(
    image: Image.Image, steps: Steps, interpolation: Interpolation = "nearest", fill: int = 0
) -> tuple[Pixels, Geometry]:
    """(h, w, 3) an RGB image after the operations, and how they moved it; `fill` (0 to 255) where nothing is known.

    Raises:
        ValueError: there is no such operation.
    """
    moves: list[Op] = []
    picture: Picture = image
    for name, magnitude in steps:
        op = geometry_of(name, magnitude, (image.height, image.width))
        if op is not None:
            picture = _moved(_image(picture), op, interpolation, fill)
            moves.append(op)
        elif name in ON_ARRAYS:
            picture = ON_ARRAYS[name](np.asarray(picture), magnitude)
        elif name in ON_IMAGES:
            picture = ON_IMAGES[name](_image(picture), magnitude)
    return np.asarray(picture), Geometry(tuple(moves))


def _image(picture: Picture) -> Image.Image:
    return picture if isinstance(picture, Image.Image) else Image.fromarray(picture)


def geometry_of(name: str, magnitude: float, size: tuple[int, int]) -> Op | None:
    """How an operation moves an image of `size` (height, width); None if it leaves things where they are."""
    if name not in GEOMETRIC and name not in PHOTOMETRIC:
        raise ValueError(f"there is no operation {name!r}; there are {', '.join([*PHOTOMETRIC, *GEOMETRIC])}")
    if name in PHOTOMETRIC or magnitude == 0:
        return None
    return GEOMETRIC[name](magnitude, *size)


def _away_from(pixels: Pixels, grey: int, factor: float) -> Pixels:
    """Each value away from a grey by a factor, as Pillow's enhancements have it, by way of a table."""
    values = np.arange(256, dtype=np.float32)
    table = np.float32(grey) + np.float32(factor) * (values - np.float32(grey))
    found = pixels.tobytes().translate(table.clip(0, 255).astype(np.uint8).tobytes())  # the fastest look-up there is
    return np.frombuffer(found, np.uint8).reshape(pixels.shape)


def _mean_grey(pixels: Pixels) -> int:
    counts = np.array(Image.fromarray(pixels).convert("L").histogram())
    return int(counts @ np.arange(256) / counts.sum() + 0.5)


def _angle(slope: float) -> float:
    """The angle of a slope, in radians; by way of degrees, as torchvision has it, so that the last bits are its own."""
    return math.radians(math.degrees(math.atan(slope)))


def _rotated(degrees: float, height: int, width: int) -> Linear:
    """Turned about the middle; rounded as Pillow does, so that right angles are exact."""
    angle = math.radians(degrees)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = width / 2, height / 2
    return Linear((cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y))


def _moved(image: Image.Image, op: Op, interpolation: Interpolation, fill: int) -> Image.Image:
    matrix = op.matrix if isinstance(op, Linear) else _matrix_of(op)
    way = Image.Transform.AFFINE
    return image.transform(image.size, way, matrix, WAYS[interpolation], fillcolor=(fill, fill, fill) if fill else None)


def _matrix_of(op: Op) -> tuple[float, ...]:
    if not isinstance(op, Shift):
        raise TypeError(f"{op.name} is no operation of a policy")
    return 1, 0, -op.right, 0, 1, -op.down
