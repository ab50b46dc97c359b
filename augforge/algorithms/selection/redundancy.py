"""Near-duplicates in meaning: leave out what is most like another image that stays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.lists import lists_of
from augforge.algorithms.selection.points import Likeness, Points, checked, placed
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Part, Selection, over_classes

CELL = 2048
"""About as many members of a class are compared with each other; of a larger class, those of one cell of k-means."""


def least_redundant(
    features: ArrayLike, budget: int, *, labels: Labels = None, allocation: Allocation = "proportional"
) -> Selection:
    """Choose, in each class, the rows that are least like a row which stays before them: the farthest from the centre.

    Abbas et al., 2023, *SemDeDup: Data-efficient learning at web-scale through semantic deduplication*: clusters by
    spherical k-means, in each the rows by their cosine to its centre, the least like it first; a row goes if its
    cosine to one before it is over a threshold. Here the threshold is what leaves as many as the budget of a class.
    So dense places are thinned, and sparse ones are left alone.

    Args:
        features: (n, d) finite numbers, compared by their cosine.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.

    Returns:
        A `Selection` with weights of 1. `gains` are 1 minus the cosine to the nearest row before, 2 for the first of a
        cell; `objective` and `upper_bound` are their sum.

    Raises:
        ValueError: features that are not (n, d) or not finite (naming the row), labels of another length, or an
            option out of range.
    """
    array = checked(features, "cosine")

    def choose(members: Indices, share: int) -> Part:
        news = _novelty(placed(array[members], "cosine")[0])
        chosen = np.argsort(-news, kind="stable")[:share]
        total = math.fsum(news[chosen])
        return Part(chosen, news[chosen], np.ones(share), total, total, "least-redundant")

    return over_classes(len(array), budget, labels, allocation, choose, math.fsum)


def _novelty(points: Points) -> Floats:
    """(m,) 1 minus the largest cosine of each of `points` (m, d) to one before it in its cell, 2 for the first."""
    likeness = Likeness("cosine")
    cells = [np.arange(len(points))] if len(points) <= CELL else lists_of(points, likeness, CELL // 2).rows
    found = np.empty(len(points))
    for cell in cells:
        inside = points[cell]
        order = np.argsort(inside @ inside.mean(axis=0, dtype=np.float64), kind="stable")
        cosines = np.tril(inside[order] @ inside[order].T, -1) - 2.0 * np.triu(np.ones((len(cell),) * 2, np.float32))
        found[cell[order]] = 1.0 - np.maximum(cosines.max(axis=1), -1.0)
    return found
