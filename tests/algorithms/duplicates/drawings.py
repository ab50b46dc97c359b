"""Drawings of one simple shape each, of which a hash of 64 bits says little."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("circle", "square", "triangle")


def drawing(seed: int, side: int = 96) -> Image.Image:
    """A circle, square or triangle (by turns) of some size, place and colour on white."""
    draw = np.random.default_rng(seed)
    radius = draw.uniform(0.12, 0.35) * side
    x, y = draw.uniform(radius, side - radius, 2)
    colour = tuple(int(v) for v in draw.integers(20, 230, 3))
    return shape(KINDS[seed % 3], x, y, radius, colour, side)


def coloured(seed: int, side: int = 64, dots: int = 0) -> Image.Image:
    """A dark circle, square or triangle (by turns) near the middle of a lighter ground, with `dots` of any colour."""
    draw = np.random.default_rng(seed)
    ground, colour = (tuple(int(v) for v in draw.integers(*span, 3)) for span in ((90, 256), (0, 110)))
    radius = draw.uniform(0.2, 0.3) * side
    x, y = side / 2 + draw.uniform(-0.2, 0.2, 2) * side
    pixels = np.array(shape(KINDS[seed % 3], x, y, radius, colour, side, ground))
    rows, columns = draw.integers(0, side, (2, dots))
    pixels[rows, columns] = draw.integers(0, 256, (dots, 3))
    return Image.fromarray(pixels)


def shape(
    kind: str,
    x: float,
    y: float,
    radius: float,
    colour: tuple[int, ...] = (20, 60, 200),
    side: int = 96,
    ground: tuple[int, ...] = (255, 255, 255),
) -> Image.Image:
    """One shape around (x, y)."""
    image = Image.new("RGB", (side, side), ground)
    pen, box = ImageDraw.Draw(image), (x - radius, y - radius, x + radius, y + radius)
    if kind == "circle":
        pen.ellipse(box, fill=colour)
    elif kind == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    return image
