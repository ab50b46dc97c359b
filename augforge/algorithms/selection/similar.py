"""The nearest to a reference set: what of a pool is like examples of what is wanted."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.largest import largest
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Selection

Vectors = NDArray[np.floating[Any]]
By = Literal["max", "mean", "turns"]
DECIMALS = 6
"""Cosines are rounded to so many, so that copies tie whatever the last bits of a product are."""
NOTHING = -1.0
"""The similarity of an image that has no other reference than itself."""
ROWS = 4096


def closeness(features: Vectors, references: Vectors, by: By, itself: Indices | None = None) -> Floats:
    """How near the rows of a pool are to references.

    Args:
        features: (n, d) of unit length.
        references: (m, d) of unit length, m >= 1.
        by: "max" is the cosine to the nearest reference, "mean" the mean of the cosines to all. With "turns" the
            references take turns, in their order, each taking the row nearest to it of those that are left.
        itself: (n,) which reference each row is, -1 for none; it does not count.

    Returns:
        (n, 3): what rows are chosen by, largest first; the cosine (or the mean) that made it so; and the largest that
        it could be by.
    """
    if not len(references):
        raise ValueError("there are no references")
    if by == "turns":
        return _turns(_cosines(features, references, itself))
    found = np.empty(len(features))
    for start in range(0, len(features), ROWS):
        rows = slice(start, start + ROWS)
        cosines = _cosines(features[rows], references, None if itself is None else itself[rows])
        others = np.full(len(cosines), len(references)) if itself is None else len(references) - (itself[rows] >= 0)
        found[rows] = cosines.max(axis=1) if by == "max" else _means(cosines, others)
    return np.stack([found, found, found], axis=1)


def _means(cosines: Floats, others: Indices) -> Floats:
    """(n,) the mean of cosines (n, m), where only `others` (n,) of them count: the one to itself is NOTHING."""
    total = cosines.sum(axis=1) - NOTHING * (cosines.shape[1] - others)
    means: Floats = np.where(others > 0, total / np.maximum(others, 1), NOTHING)
    return means.round(DECIMALS)


def _cosines(features: Vectors, references: Vectors, itself: Indices | None) -> Floats:
    """(n, m) rounded cosines; NOTHING of a row to itself."""
    cosines: Floats = np.round(features.astype(np.float64) @ references.astype(np.float64).T, DECIMALS)
    if itself is not None:
        rows = np.flatnonzero(itself >= 0)
        cosines[rows, itself[rows]] = NOTHING
    return cosines


def _turns(cosines: Floats) -> Floats:
    """As `closeness` says, of cosines (n, m): the first row taken has the largest number to be chosen by."""
    n, m = cosines.shape
    orders = np.argsort(-cosines, axis=0, kind="stable")
    reached, taken, found = np.zeros(m, dtype=np.int64), np.zeros(n, dtype=bool), np.empty((n, 3))
    for turn in range(n):
        reference = turn % m
        left = orders[reached[reference] :, reference]
        step = int(np.argmin(taken[left]))
        row = left[step]
        reached[reference] += step + 1
        taken[row] = True
        found[row] = n - turn, cosines[row, reference], cosines[row].max()
    return found


def most_similar(
    near: Floats,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    name: str = "similar-to",
) -> Selection:
    """Choose, in each class, the rows nearest to the references; ties go to the lowest row.

    Args:
        near: (n, 3) as `closeness` returns it.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        name: what `method` of the answer says.

    Returns:
        A `Selection` with weights of 1. `gains` are the cosines (or means), `objective` is their sum; no choice of as
        many has a larger one than `upper_bound`, which is the objective itself but for turns.
    """
    chosen = largest(near[:, 0], budget, labels=labels, allocation=allocation, name=name)
    best = largest(near[:, 2], budget, labels=labels, allocation=allocation)
    gains = near[chosen.indices, 1]
    return replace(chosen, gains=gains, objective=math.fsum(gains), upper_bound=best.objective)
