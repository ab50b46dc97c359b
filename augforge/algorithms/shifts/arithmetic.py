"""Arithmetic: numbers added to, multiplied with or put in the place of pixels. 21 operations."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Among, Between, Pixels, Random, Seed, op, shorter_side, to_pixels
from augforge.data.ids import rng

GREY = 128
Chosen = NDArray[np.bool_]


def add(pixels: Pixels, value: float) -> Pixels:
    """The same number added everywhere."""
    return to_pixels(pixels.astype(np.float64) + value)


def add_elementwise(pixels: Pixels, amount: float, seed: int) -> Pixels:
    """A number of up to `amount` either way added to each value."""
    return to_pixels(pixels + amount * rng(seed).uniform(-1, 1, pixels.shape))


def gaussian_noise(pixels: Pixels, sigma: float, seed: int) -> Pixels:
    """Normal noise on each value."""
    return to_pixels(pixels + sigma * rng(seed).standard_normal(pixels.shape))


def laplace_noise(pixels: Pixels, scale: float, seed: int) -> Pixels:
    """Laplacian noise on each value: rarer and larger than normal noise."""
    return to_pixels(pixels + scale * rng(seed).laplace(size=pixels.shape))


def poisson_noise(pixels: Pixels, mean: float, seed: int) -> Pixels:
    """Poisson noise of a mean, added to or taken from each value."""
    random = rng(seed)
    return to_pixels(pixels + random.poisson(mean, pixels.shape) * random.choice((-1, 1), pixels.shape))


def multiply(pixels: Pixels, factor: float) -> Pixels:
    """Every value times the same factor."""
    return to_pixels(pixels.astype(np.float64) * factor)


def multiply_elementwise(pixels: Pixels, spread: float, seed: int) -> Pixels:
    """Each value times a factor of its own, in 1 +- spread."""
    return to_pixels(pixels * (1 + spread * rng(seed).uniform(-1, 1, pixels.shape)))


def cutout(pixels: Pixels, side: float, squares: int, seed: int) -> Pixels:
    """Grey squares, their side a share of the shorter one, wholly inside."""
    made, random = pixels.copy(), rng(seed)
    length = round(side * shorter_side(pixels))
    for _ in range(squares):
        top, left = (int(random.integers(sides - length + 1)) for sides in pixels.shape[:2])
        made[top : top + length, left : left + length] = GREY
    return made


def dropout(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the pixels black."""
    return _put(pixels, _each(pixels, share, rng(seed)), 0)


def coarse_dropout(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the blocks black."""
    return _put(pixels, _blocks(pixels, share, rng(seed)), 0)


def channel_dropout(pixels: Pixels, channel: int) -> Pixels:
    """Without red, green or blue."""
    made = pixels.copy()
    made[..., channel] = 0
    return made


def impulse_noise(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the values, each channel by itself, 0 or 255."""
    random = rng(seed)
    chosen = random.random(pixels.shape) < share
    return np.where(chosen, random.choice(np.array([0, 255], np.uint8), pixels.shape), pixels)


def salt_and_pepper(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the pixels black or white."""
    random = rng(seed)
    return _put(pixels, _each(pixels, share, random), _black_or_white(pixels, random))


def coarse_salt_and_pepper(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the blocks peppered: each of their pixels is black or white."""
    random = rng(seed)
    return _put(pixels, _blocks(pixels, share, random), _black_or_white(pixels, random))


def salt(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the pixels white."""
    return _put(pixels, _each(pixels, share, rng(seed)), 255)


def coarse_salt(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the blocks white."""
    return _put(pixels, _blocks(pixels, share, rng(seed)), 255)


def pepper(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the pixels nearly black, each its own shade."""
    random = rng(seed)
    chosen = _each(pixels, share, random)
    return _put(pixels, chosen, random.integers(0, 64, (*pixels.shape[:2], 1), dtype=np.uint8))


def coarse_pepper(pixels: Pixels, share: float, seed: int) -> Pixels:
    """A share of the blocks nearly black, each pixel its own shade."""
    random = rng(seed)
    chosen = _blocks(pixels, share, random)
    return _put(pixels, chosen, random.integers(0, 64, (*pixels.shape[:2], 1), dtype=np.uint8))


def invert(pixels: Pixels) -> Pixels:
    """The negative."""
    return 255 - pixels


def solarize(pixels: Pixels, threshold: float) -> Pixels:
    """The negative of what is bright: of values from the threshold on."""
    return np.where(pixels >= threshold, 255 - pixels, pixels).astype(np.uint8)


def jpeg(pixels: Pixels, quality: float) -> Pixels:
    """Through JPEG and back; at quality 100 it is left alone."""
    from PIL import Image

    if quality >= 100:
        return pixels.copy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=round(quality))
    return np.asarray(Image.open(file))


def _each(pixels: Pixels, share: float, random: Random) -> Chosen:
    """(h, w, 1) a share of the pixels."""
    return random.random((*pixels.shape[:2], 1)) < share


def _blocks(pixels: Pixels, share: float, random: Random) -> Chosen:
    """(h, w, 1) a share of the blocks of an eighth of the shorter side."""
    block = max(1, shorter_side(pixels) // 8)
    height, width = pixels.shape[:2]
    coarse = random.random((-(-height // block), -(-width // block))) < share
    return np.kron(coarse, np.ones((block, block), bool))[:height, :width, None]


def _put(pixels: Pixels, chosen: Chosen, values: int | Pixels) -> Pixels:
    return np.where(chosen, np.asarray(values, np.uint8), pixels)


def _black_or_white(pixels: Pixels, random: Random) -> Pixels:
    return random.choice(np.array([0, 255], np.uint8), (*pixels.shape[:2], 1))


OPS = (
    op("add", add, value=Between(40, 90, signed=True)),
    op("add-elementwise", add_elementwise, amount=Between(60, 120), seed=Seed()),
    op("gaussian-noise", gaussian_noise, sigma=Between(25, 55), seed=Seed()),
    op("laplace-noise", laplace_noise, scale=Between(20, 40), seed=Seed()),
    op("poisson-noise", poisson_noise, mean=Between(25, 50), seed=Seed()),
    op("multiply", multiply, factor=Between(1.4, 1.75, rest=1, signed=True)),
    op("multiply-elementwise", multiply_elementwise, spread=Between(0.5, 0.9), seed=Seed()),
    op("cutout", cutout, side=Between(0.2, 0.4), squares=Among((1, 2, 3)), seed=Seed()),
    op("dropout", dropout, share=Between(0.15, 0.4), seed=Seed()),
    op("coarse-dropout", coarse_dropout, share=Between(0.15, 0.4), seed=Seed()),
    op("channel-dropout", channel_dropout, fades=True, channel=Among((0, 1, 2))),
    op("impulse-noise", impulse_noise, share=Between(0.1, 0.3), seed=Seed()),
    op("salt-and-pepper", salt_and_pepper, share=Between(0.1, 0.3), seed=Seed()),
    op("coarse-salt-and-pepper", coarse_salt_and_pepper, share=Between(0.15, 0.35), seed=Seed()),
    op("salt", salt, share=Between(0.1, 0.3), seed=Seed()),
    op("coarse-salt", coarse_salt, share=Between(0.15, 0.35), seed=Seed()),
    op("pepper", pepper, share=Between(0.1, 0.3), seed=Seed()),
    op("coarse-pepper", coarse_pepper, share=Between(0.15, 0.35), seed=Seed()),
    op("invert", invert, fades=True),
    op("solarize", solarize, threshold=Between(32, 128, rest=256)),
    op("jpeg", jpeg, quality=Between(4, 12, rest=100)),
)
