"""A random subset that does not depend on order and grows by adding only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.selection import Indices, Labels, Part, Selection, over_classes


def random_subset(
    n: int,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    keys: NDArray[np.uint64],
) -> Selection:
    """Choose, in each class, the rows with the smallest keys.

    With hashes of ids as keys, the subset is as good as random, the same whatever the order of the rows, and
    contains every smaller subset of the same rows.

    Args:
        n: how many rows there are.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        keys: (n,) uint64, one per row; equal keys go by row.

    Returns:
        A `Selection` with weights of 1. It maximises nothing: gains, objective and upper bound are 0.

    Raises:
        ValueError: keys or labels of another length, keys that are no uint64, or an option out of range.
    """
    if keys.shape != (n,) or keys.dtype != np.uint64:
        raise ValueError(f"keys are {keys.dtype} of shape {keys.shape}: give uint64 of shape ({n},)")

    def choose(members: Indices, share: int) -> Part:
        chosen = np.argsort(keys[members], kind="stable")[:share]
        return Part(chosen, np.zeros(share), np.ones(share), 0.0, 0.0, "random")

    return over_classes(n, budget, labels, allocation, choose, math.fsum)
