"""k-center: no point is far from a chosen one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.points import Points, Similarity, checked, placed, squared_distances
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Part, Selection, over_classes, sizes_of


def k_center(
    features: ArrayLike,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    similarity: Similarity = "cosine",
) -> Selection:
    """Choose, in each class, the point nearest the mean, then always the one farthest from those chosen.

    The largest distance to the nearest chosen point is at most twice the best possible (Gonzalez, 1985,
    *Clustering to minimize the maximum intercluster distance*). Ties go to the lowest row. A larger budget for a
    class only adds to the chosen, up to the whole class, which is taken in row order.

    Args:
        features: (n, d) finite numbers.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        similarity: "euclidean" measures distances between rows, "cosine" between rows of length 1 (0 to 2).

    Returns:
        A `Selection`. `gains` are the distances to those chosen before, 0 for the first; `objective` is minus the
        largest distance to the nearest chosen row of the class, over the classes of which any were chosen;
        `upper_bound` is half of it, by the guarantee above.

    Raises:
        ValueError: features that are not (n, d) or not finite (naming the row), labels of another length, or an
            option out of range.
    """
    array = checked(features, similarity)

    def choose(members: Indices, share: int) -> Part:
        if share == len(members):
            return Part(np.arange(share, dtype=np.int64), np.zeros(share), np.ones(share), 0.0, 0.0, "all")
        points, scale = placed(array[members], similarity)
        chosen, distances, owner, radius = farthest_first(points, share)
        sizes = sizes_of(owner, share)
        return Part(chosen, distances * scale, sizes, -radius * scale, -radius * scale / 2, "k-center")

    return over_classes(len(array), budget, labels, allocation, choose, min)


def farthest_first(points: Points, budget: int) -> tuple[Indices, Floats, Indices, float]:
    """(k,) the chosen, (k,) their distances to those before, (n,) whom each point is nearest to, the radius."""
    mean: Points = points.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    farthest = int(squared_distances(mean, points)[0].argmin())
    nearest: Points = np.full(len(points), np.inf, dtype=np.float32)
    owner = np.zeros(len(points), dtype=np.int64)
    chosen, squares = np.empty(budget, dtype=np.int64), np.zeros(budget)
    free = np.ones(len(points), dtype=bool)
    ahead = _Ahead(points)
    for step in range(budget):
        chosen[step], free[farthest] = farthest, False
        squares[step] = nearest[farthest] if step else 0
        distances = ahead.distances(farthest, nearest)
        owner[distances < nearest] = step
        np.minimum(nearest, distances, out=nearest)
        farthest = int(np.where(free, nearest, -1).argmax())
    return chosen, np.sqrt(squares), owner, float(np.sqrt(nearest.max()))


class _Ahead:
    """Squared distances from one point to all, computed for the likely next ones together.

    One matrix product for 32 points takes little longer than a few products with one, and the points that are now
    farthest are often chosen soon. A wrong guess costs time only.
    """

    def __init__(self, points: Points) -> None:
        self._points = points
        self._count = min(32, len(points))
        self._rows: dict[int, Points] = {}

    def distances(self, j: int, nearest: Points) -> Points:
        """(n,) from point `j`; `nearest` (n,) tells which points are likely to come next."""
        if j not in self._rows:
            likely = np.argpartition(nearest, -self._count)[-self._count :]
            wanted = [j, *(i for i in likely.tolist() if i != j)]
            self._rows = dict(zip(wanted, squared_distances(self._points[wanted], self._points), strict=True))
        return self._rows[j]
