"""The mixing rules of *Augmented Conditioning Is Enough For Effective Training Image Generation* (arXiv 2502.04475).

`lam` is the share of the first image throughout: 1 gives the first, 0 the second. All draws come from the
generator that is passed in, all masks from a seed, so that a stored draw is enough to mix again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from augforge.data.ids import rng

Pixels = NDArray[np.float32]
Vector = NDArray[np.float32]
Box = tuple[float, float, float, float]


def draw_box(lam: float, random: np.random.Generator) -> Box:
    """A square box (left, top, right, bottom), in shares of the sides, of area 1 - lam, wholly inside the picture."""
    side = math.sqrt(1.0 - lam)
    left, top = random.uniform(0.0, 1.0 - side), random.uniform(0.0, 1.0 - side)
    return (left, top, left + side, top + side)


def draw_crop(width: int, height: int, smallest: float, random: np.random.Generator) -> tuple[int, int, int, int]:
    """A random resized crop in px (left, top, right, bottom): area in [smallest, 1], aspect ratio 3/4 to 4/3."""
    for _ in range(10):
        area = width * height * random.uniform(smallest, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
            return (left, top, left + w, top + h)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return (left, top, left + side, top + side)


def mix_pixels(first: Pixels, second: Pixels, lam: float) -> Pixels:
    """lam * first + (1 - lam) * second, of two pictures (h, w, 3)."""
    return (lam * first + (1.0 - lam) * second).astype(np.float32)


def cut_pixels(first: Pixels, second: Pixels, box: Box) -> Pixels:
    """`first` (h, w, 3) with the box (in shares of the sides) taken from `second`, rounded to whole pixels."""
    height, width = first.shape[:2]
    left, right = round(box[0] * width), round(box[2] * width)
    top, bottom = round(box[1] * height), round(box[3] * height)
    mixed = first.copy()
    mixed[top:bottom, left:right] = second[top:bottom, left:right]
    return mixed


def mix_vectors(first: Vector, second: Vector, lam: float) -> Vector:
    """lam * first + (1 - lam) * second, of two embeddings (D,)."""
    return (lam * first + (1.0 - lam) * second).astype(np.float32)


def cut_vectors(first: Vector, second: Vector, lam: float, mask_seed: int) -> Vector:
    """`first` (D,) with round((1 - lam) * D) of its coordinates, chosen by the seed, taken from `second`.

    The coordinates of an embedding have no order, so any set of them is as good as the first ones. The
    mixing goes along the feature axis; along the batch axis it would only ever return `first`.
    """
    taken = rng(mask_seed, "cutmix").permutation(len(first))[: round((1.0 - lam) * len(first))]
    mixed = first.copy()
    mixed[taken] = second[taken]
    return mixed


def drop_coordinates(vector: Vector, p: float, mask_seed: int, *, rescale: bool) -> Vector:
    """`vector` (D,) with each coordinate zeroed with probability p; divided by 1 - p if `rescale` (published: not)."""
    kept = rng(mask_seed, "dropout").random(len(vector)) >= p
    dropped = np.where(kept, vector, np.float32(0.0)).astype(np.float32)
    return dropped / np.float32(1.0 - p) if rescale and p < 1.0 else dropped
