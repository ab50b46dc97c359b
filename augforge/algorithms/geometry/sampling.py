"""Random operations."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.geometry.ops import Affine, Flip, Warp


def draw_flip(random: np.random.Generator, probability: float = 0.5) -> Flip | None:
    """A horizontal flip, or None."""
    return Flip("horizontal") if random.random() < probability else None


def draw_warp(random: np.random.Generator, amplitude: float = 0.05, cells: int = 4) -> Warp:
    """A warp that moves no point further than `amplitude` times the side."""
    return Warp(int(random.integers(2**31)), float(amplitude), cells)


def draw_affine(random: np.random.Generator, degrees: float = 10.0, zoom: float = 1.1, shift: float = 0.05) -> Affine:
    """Up to `degrees` either way, a scale in [1/zoom, zoom], and up to `shift` of the sides either way."""
    turn, scale = random.uniform(-degrees, degrees), zoom ** random.uniform(-1, 1)
    down, right = random.uniform(-shift, shift, 2)
    return Affine(float(turn), float(scale), float(down), float(right))
