"""Preprocessing of a model: decode no larger than needed, resize, crop, and normalise on its device."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data import images
from augforge.optional import installed

if TYPE_CHECKING:
    from torch import Tensor

Seen = NDArray[np.uint8]
DECODING = 1
"""Version of how images are decoded and resized here, part of the key of every vector."""
MARGIN = 1.25
"""A JPEG keeps at least so many times the pixels a side that the model looks at.

The least cosine to the vector of the full decode, measured on eleven photos of each of 640, 1,024 and 1,600 px: 0.998
for EfficientNet-Lite2 (260 px), 0.996 for the built-in CLIP (64 px). With a margin of 1 it is 0.994, with 2
it is 0.999, and then a photo of 1,024 px is decoded in full for a model of 224 px.
"""
JPEG = b"\xff\xd8\xff"
ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """An image is resized to `size` x `size` px, and each channel in [0, 1] is normalised by `mean` and `std`.

    Its shorter side becomes `resize` px and the centre is cropped; with `resize` None the image is squashed to a
    square.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"a shorter side of {self.resize} px has no centre of {self.size} px")

    @property
    def min_side(self) -> int:
        """Shorter side, in px, that a decoded JPEG must keep."""
        return math.ceil(MARGIN * (self.resize or self.size))

    def resize_and_crop(self, image: Image.Image) -> Seen:
        """(size, size, 3) uint8: the resized and cropped RGB image."""
        if self.resize is None:
            return np.asarray(image.resize((self.size, self.size), self.resample))
        short = min(image.size)
        width, height = (self.resize if side == short else self.resize * side // short for side in image.size)
        left, top = (round((side - self.size) / 2) for side in (width, height))
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return np.asarray(image.resize((self.size, self.size), self.resample, box=box))  # only what the crop shows

    def normalize(self, seen: Seen, device: str) -> Tensor:
        """(n, 3, size, size) float32 on the device, from n images (n, size, size, 3) uint8."""
        import torch

        batch = torch.from_numpy(seen)
        if device != "cpu":
            batch = batch.pin_memory().to(device, non_blocking=True)
        batch = batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return batch.sub_(mean).div_(std)


def decode(data: bytes, least: int) -> Image.Image:
    """An image as `images.decode` gives it, but a JPEG may come at a half, a quarter or an eighth of its size.

    Its shorter side keeps at least `least` px. The scaling is that of libjpeg's inverse transform, which costs less
    than decoding in full. BadImage as `images.decode`.
    """
    small = _scaled(data, least) if data.startswith(JPEG) else None
    return images.decode(data) if small is None else small


def _scaled(data: bytes, least: int) -> Image.Image | None:
    """None where the whole image is needed, or where something is special or wrong: `images.decode` has the say."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            factor = _factor(*image.size, least)
            if factor == 1 or image.mode not in ("RGB", "L") or image.width * image.height > images.MAX_PIXELS:
                return None
            if image.getexif().get(ORIENTATION, 1) != 1:
                return None
            return _decoded(data, image, factor)
    except (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError, Image.DecompressionBombError):
        return None


def _factor(width: int, height: int, least: int) -> int:
    """By how much each side may be divided, so that both keep at least `least` px: 8, 4, 2 or 1."""
    return next((factor for factor in (8, 4, 2) if min(width, height) // factor >= least), 1)


def _decoded(data: bytes, image: Any, factor: int) -> Image.Image:
    """The JPEG, each side divided by `factor` and rounded up; simplejpeg and Pillow give the same pixels."""
    width, height = image.size
    fast = simplejpeg()
    if fast is not None:
        least = {"min_height": -(-height // factor), "min_width": -(-width // factor)}
        return Image.fromarray(fast.decode_jpeg(data, "RGB", **least))
    image.draft(None, (width // factor, height // factor))
    rgb: Image.Image = image.convert("RGB")
    rgb.info = {}
    return rgb


@cache
def simplejpeg() -> Any:
    """The faster decoder where it is installed, else None."""
    return import_module("simplejpeg") if installed("simplejpeg") else None
