"""Strong transforms in ten families, one file each, to see how a model stands what it was not trained on.

After *Crafting Distribution Shifts for Validation and Training in Single Source Domain Generalization* (Efthymiadis et
al., WACV 2025): validation images are made of training images by one random operation each. The families are
divided into two folds: what one fold chose or trained with, the other judges.

An operation is a small function on an image (h, w, 3) of uint8; what is random in it is drawn before as plain JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augforge.algorithms.shifts import (
    arithmetic,
    artistic,
    blur,
    colour,
    contrast,
    convolutional,
    edges,
    geometric,
    segmentation,
    weather,
)
from augforge.algorithms.shifts.base import Op, Pixels

__all__ = ["FAMILIES", "FOLDS", "Op", "Pixels", "draw", "operation"]

FAMILIES: dict[str, dict[str, Op]] = {
    module.__name__.rpartition(".")[2]: {op.name: op for op in module.OPS}
    for module in (
        arithmetic,
        artistic,
        blur,
        colour,
        contrast,
        convolutional,
        edges,
        geometric,
        segmentation,
        weather,
    )
}
"""Every operation by its name, in its family."""

FOLDS: dict[str, tuple[str, ...]] = {"1": tuple(FAMILIES)[:5], "2": tuple(FAMILIES)[5:], "all": tuple(FAMILIES)}
"""The families of each fold."""


def operation(family: str, name: str) -> Op:
    """An operation by family and name."""
    return FAMILIES[family][name]


def draw(families: Sequence[str], severity: float, random: np.random.Generator) -> dict[str, Any]:
    """A family, each as likely, one of its operations, each as likely, and its parameters, as JSON."""
    family = families[int(random.integers(len(families)))]
    op = list(FAMILIES[family].values())[int(random.integers(len(FAMILIES[family])))]
    return {"family": family, "op": op.name, "parameters": op.draw(random, severity)}
