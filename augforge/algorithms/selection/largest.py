"""The largest scores: of loss, of divergence, of whatever makes a sample worth keeping."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.selection import Indices, Labels, Part, Selection, over_classes


def largest(
    scores: ArrayLike,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    name: str = "largest",
) -> Selection:
    """Choose, in each class, the rows with the largest scores; ties go to the lowest row.

    Args:
        scores: (n,) finite numbers.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        name: what `method` of the answer says.

    Returns:
        A `Selection` with weights of 1. `gains` are the scores, `objective` is their sum, and so is `upper_bound`:
        no other choice has a larger one.

    Raises:
        ValueError: scores that are not (n,) or not finite (naming the row), labels of another length, or an option
            out of range.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores have shape {values.shape}: give (n,)")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: row {int(np.isfinite(values).argmin())} is not finite")

    def choose(members: Indices, share: int) -> Part:
        chosen = np.argsort(-values[members], kind="stable")[:share]
        gains = values[members][chosen]
        total = math.fsum(gains)
        return Part(chosen, gains, np.ones(share), total, total, name)

    return over_classes(len(values), budget, labels, allocation, choose, math.fsum)
