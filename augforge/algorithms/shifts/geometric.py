"""Geometric: things in other places and shapes. 9 operations; each is a chain of
`augforge.algorithms.geometry`, so that a label
map can follow it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from augforge.algorithms.geometry import Affine, Geometry, Jigsaw, Perspective, Shear, Warp
from augforge.algorithms.geometry import Op as Move
from augforge.algorithms.shifts.base import Between, Op, Pixels, Random, Seed

SEED = Seed()


def move(pixels: Pixels, geometry: Sequence[Mapping[str, Any]]) -> Pixels:
    """The image after a logged chain of operations that leaves its size alone; the edge goes on outside."""
    return Geometry.from_plain(geometry).apply(pixels)


def scale(random: Random, severity: float) -> Move:
    """Up to 1.7 times as large, or as small."""
    return Affine(scale=2.0 ** Between(0.4, 0.75, signed=True).draw(random, severity))


def translate(random: Random, severity: float) -> Move:
    """By up to 0.3 of each side."""
    way = Between(0.1, 0.3, signed=True)
    return Affine(down=way.draw(random, severity), right=way.draw(random, severity))


def rotate(random: Random, severity: float) -> Move:
    """By 20 to 60 degrees either way."""
    return Affine(degrees=Between(20, 60, signed=True).draw(random, severity))


def shear_across(random: Random, severity: float) -> Move:
    """Rows sideways."""
    return Shear(across=Between(15, 35, signed=True).draw(random, severity))


def shear_down(random: Random, severity: float) -> Move:
    """Columns up and down."""
    return Shear(down=Between(15, 35, signed=True).draw(random, severity))


def perspective(random: Random, severity: float) -> Move:
    """Corners inwards."""
    return Perspective(SEED.draw(random, severity), Between(0.1, 0.25).draw(random, severity))


def elastic(random: Random, severity: float) -> Move:
    """Bent in many small places."""
    return Warp(SEED.draw(random, severity), Between(0.03, 0.06).draw(random, severity), cells=16)


def warp(random: Random, severity: float) -> Move:
    """Bent as a whole."""
    return Warp(SEED.draw(random, severity), Between(0.15, 0.25).draw(random, severity), cells=4)


def jigsaw(random: Random, severity: float) -> Move:
    """Tiles exchanged."""
    return Jigsaw(SEED.draw(random, severity), cells=4, swaps=round(Between(4, 12).draw(random, severity)))


def _op(name: str, draw: Callable[[Random, float], Move]) -> Op:
    return Op(name, move, lambda random, severity: {"geometry": [draw(random, severity).plain()]})


OPS = (
    _op("scale", scale),
    _op("translate", translate),
    _op("rotate", rotate),
    _op("shear-across", shear_across),
    _op("shear-down", shear_down),
    _op("perspective", perspective),
    _op("elastic", elastic),
    _op("warp", warp),
    _op("jigsaw", jigsaw),
)
