"""What a strong transform is: a small function on pixels, and how its parameters are drawn.

Severity 1 is full strength. Below it, a parameter goes part of the way from where it does nothing, or, where an
operation has no such parameter, its result fades into the image: at severity 0 every operation leaves the image alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""An image (h, w, 3), RGB."""
Values = NDArray[np.float64]
Random = np.random.Generator
Draw = Callable[[Random, float], dict[str, Any]]


class Range(Protocol):
    """What a parameter is drawn from, at a severity in [0, 1]."""

    def draw(self, random: Random, severity: float) -> Any:
        """A plain value."""


@dataclass(frozen=True, slots=True)
class Between:
    """A number, evenly between `low` and `high`, that does nothing at `rest`; `signed` to either side of it."""

    low: float
    high: float
    rest: float = 0.0
    signed: bool = False

    def draw(self, random: Random, severity: float) -> float:
        """`severity` of the way from `rest` to what was drawn."""
        way = random.uniform(self.low, self.high) - self.rest
        if self.signed and random.random() < 0.5:
            way = -way
        return float(self.rest + severity * way)


@dataclass(frozen=True, slots=True)
class Among:
    """One of some values, whatever the severity."""

    values: tuple[Any, ...]

    def draw(self, random: Random, severity: float) -> Any:
        """One of them, each as likely."""
        return self.values[int(random.integers(len(self.values)))]


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed for what is random in every pixel."""

    def draw(self, random: Random, severity: float) -> int:
        """A whole number of 31 bits."""
        return int(random.integers(2**31))


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: `apply(pixels, **parameters)` of what `draw(random, severity)` gave."""

    name: str
    apply: Callable[..., Pixels]
    draw: Draw

    def __call__(self, pixels: Pixels, parameters: Mapping[str, Any]) -> Pixels:
        """The image (h, w, 3) after the operation, of the same shape and dtype."""
        options = dict(parameters)
        fade = options.pop("fade", 1.0)
        if fade == 0.0:
            return pixels.copy()
        made = self.apply(pixels, **options)
        return made if fade == 1.0 else to_pixels((1 - fade) * pixels + fade * made.astype(np.float64))


def op(name: str, apply: Callable[..., Pixels], *, fades: bool = False, **ranges: Range) -> Op:
    """An operation whose parameters are drawn from `ranges`, one after the other."""

    def draw(random: Random, severity: float) -> dict[str, Any]:
        drawn = {parameter: range_.draw(random, severity) for parameter, range_ in ranges.items()}
        return {**drawn, "fade": severity} if fades else drawn

    return Op(name, apply, draw)


def to_pixels(values: NDArray[Any]) -> Pixels:
    """Numbers of 0 to 255 as pixels: rounded, and kept in their range."""
    pixels: Pixels = np.rint(values).clip(0, 255).astype(np.uint8)
    return pixels


def to_unit(pixels: Pixels) -> Values:
    """Pixels as numbers of 0 to 1."""
    return pixels.astype(np.float64) / 255.0


def from_unit(values: NDArray[Any]) -> Pixels:
    """Numbers of 0 to 1 as pixels."""
    return to_pixels(np.asarray(values) * 255.0)


def grey_of(pixels: Pixels) -> Values:
    """(h, w) luminance, 0 to 1, by ITU-R BT.601."""
    grey: Values = to_unit(pixels) @ np.array([0.299, 0.587, 0.114])
    return grey


def shorter_side(pixels: Pixels) -> int:
    """In px. Lengths are drawn as shares of it, so that small pictures are changed as much as large ones."""
    return int(min(pixels.shape[:2]))


def odd(pixels: Pixels, share: float) -> int:
    """The odd number of px nearest to a share of the shorter side: 1 for none, and else at least 3."""
    return 1 if share <= 0 else max(3, 2 * round(share * shorter_side(pixels) / 2) + 1)


def field(size: tuple[int, int], cells: float, random: Random) -> Values:
    """(h, w) smooth random numbers of about 0 to 1, with `cells` hills along the shorter side."""
    from PIL import Image

    side = min(size)
    coarse = [max(2, round(length / side * cells) + 1) for length in size]
    rough = Image.fromarray(random.random(coarse).astype(np.float32))
    return np.asarray(rough.resize(size[::-1], Image.Resampling.BICUBIC), dtype=np.float64)


def clouds_of(size: tuple[int, int], cells: float, octaves: int, random: Random) -> Values:
    """(h, w) cloudy numbers stretched to 0 to 1: fields of ever finer hills, each half as high as the one before."""
    total = sum(0.5**n * field(size, cells * 2**n, random) for n in range(octaves))
    stretched = np.asarray(total) - np.min(total)
    return stretched / max(float(stretched.max()), 1e-9)
