"""Pictures with structure, drawn rather than stored."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


def picture(seed: int, width: int = 200, height: int = 160) -> Image.Image:
    """Smooth random colour with some grain, no two seeds alike."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + random.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 90, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def edits(image: Image.Image) -> dict[str, Image.Image]:
    """What a copy may have gone through; "crop" takes 5 % off every side's sum."""
    w, h = image.size
    x, y = round(w * 0.025), round(h * 0.025)
    return {
        "resize": image.resize((w * 2 // 3, h * 2 // 3)),
        "crop": image.crop((x, y, w - x, h - y)),
        "brightness": image.point(lambda v: min(255, int(v * 1.2))),
        "blur": image.filter(ImageFilter.GaussianBlur(1)),
    }


def mirror(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def apart(a: int | NDArray[np.uint64], b: int | NDArray[np.uint64]) -> NDArray[np.uint8]:
    """In how many bits hashes differ."""
    return np.bitwise_count(np.uint64(a) ^ np.uint64(b))
