"""Influence: by how much learning from a sample lowers the loss of samples that were held out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from augforge.algorithms.selection.points import checked
from augforge.algorithms.selection.selection import Floats


def influences(gradients: ArrayLike, held_out: ArrayLike, *, ridge: float = 0.1) -> Floats:
    """(n,) h' (G'G / n + r I)^-1 g_i: how far the mean gradient h of what was held out goes down with each row's own.

    One Newton-like step on each row alone, as in Park et al., ICML 2023, *TRAK: Attributing Model Behavior at Scale*,
    for one model and without its correction by the output; r is `ridge` times the mean eigenvalue of G'G / n. Above 0
    the row helps, to first order. Gradients may be random projections of them (`outer_product`).

    Args:
        gradients: (n, d) finite numbers, of each candidate.
        held_out: (m, d) finite numbers, of samples that are not among the candidates.
        ridge: over 0; large values leave the plain inner product h' g_i, up to scale.

    Raises:
        ValueError: gradients that are not (n, d) and (m, d), not finite or without rows, or a ridge that is not
            over 0.
    """
    if not (math.isfinite(ridge) and ridge > 0):
        raise ValueError(f"ridge is {ridge}: give a number over 0")
    ours, theirs = (checked(rows, "euclidean").astype(np.float64) for rows in (gradients, held_out))
    if not (len(ours) and len(theirs)) or ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"gradients are {ours.shape} and {theirs.shape}: give (n, d) and (m, d)")
    second = ours.T @ ours / len(ours)
    mean = float(np.trace(second)) / len(second)
    if mean == 0:
        return np.zeros(len(ours))
    turned: Floats = np.linalg.solve(second + ridge * mean * np.eye(len(second)), theirs.mean(axis=0))
    found: Floats = ours @ turned
    return found
