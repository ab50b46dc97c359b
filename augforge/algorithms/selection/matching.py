"""Gradient matching: the few rows whose weighted sum is nearest to the sum of all."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.points import checked
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Part, Selection, over_classes

RIDGE = 0.5
_SETTLED = 1e-18
"""A gain below this share of the target's squared length is rounding."""
_DEPENDENT = 1e-9
"""A row with less than this share of its squared length left, or of the largest weight, is a sum of others, or 0."""
_TRIES = 3
"""Steps for each place: a step may drop more rows than it adds, and every one brings the sum nearer."""


def gradient_matching(
    gradients: ArrayLike,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    ridge: float = RIDGE,
) -> Selection:
    """Choose, in each class, rows S and weights w >= 0 so that sum_S w_i g_i is near the sum t of all its rows.

    Orthogonal matching pursuit with non-negative weights: a step adds the row that alone would bring the sum nearest,
    then fits the weights of all chosen anew; a row whose weight would be negative is given up. What is made small is
    |t - sum_S w_i g_i|^2 + ridge * m * sum_S w_i^2, m the mean of |g_i|^2 in the class. Killamsetty et al., ICML 2021,
    *GRAD-MATCH: Gradient Matching based Data Subset Selection*, class by class. (CRAIG, Mirzasoleiman et al., ICML
    2020, bounds the same distance by facility location on gradients: `facility_location` with similarity
    "euclidean" on the same rows.)

    Args:
        gradients: (n, d) finite numbers, of each row its gradient or what stands for it, such as `softmax_residual`.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        ridge: at least 0. With more, weights are more alike; with 0 no more rows are chosen than the rank of the
            gradients, as they match exactly.

    Returns:
        A `Selection`. Its weights are the fitted ones, scaled to sum to the number of rows chosen; `gains` are by how
        much the row's step brought the sum nearer, and `objective` is minus what is made small, 0 at best. Where no
        further row would bring it nearer, fewer than the budget are chosen, and a note says so.

    Raises:
        ValueError: gradients that are not (n, d) or not finite (naming the row), labels of another length, or an
            option out of range.
    """
    if not (math.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge is {ridge}: give 0 or more")
    array = checked(gradients, "euclidean")

    def choose(members: Indices, share: int) -> Part:
        if share == len(members):
            return _all(array[members].astype(np.float64), ridge)
        return _matched(array[members].astype(np.float64), share, ridge)

    return over_classes(len(array), budget, labels, allocation, choose, math.fsum)


def _all(rows: Floats, ridge: float) -> Part:
    """All `rows` (m, d) of one class, at a weight of 1: their sum is the target."""
    m = len(rows)
    return Part(np.arange(m, dtype=np.int64), np.zeros(m), np.ones(m), -ridge * float((rows**2).sum()), 0.0, "all")


def _matched(rows: Floats, share: int, ridge: float) -> Part:
    """At most `share` of the rows (m, d) of one class."""
    squares = np.einsum("ij,ij->i", rows, rows)
    pursuit = _Pursuit(rows, rows.sum(axis=0), squares + ridge * float(squares.mean()), ridge * float(squares.mean()))
    for _ in range(_TRIES * share):
        if len(pursuit.chosen) == share or not pursuit.step():
            break
    order = np.array(pursuit.chosen, dtype=np.int64)
    if not len(order):  # nothing to match: all gradients cancel or vanish, and any row is as good
        return Part(np.arange(share, dtype=np.int64), np.zeros(share), np.ones(share), 0.0, 0.0, "gradient-matching")
    note = f"{len(order)} of {share} match the gradient: no further image brings it nearer"
    gains = np.array([pursuit.gains[row] for row in pursuit.chosen])
    return Part(
        order, gains, pursuit.weights, -pursuit.error, 0.0, "gradient-matching", note if len(order) < share else ""
    )


@dataclass
class _Pursuit:
    """The rows chosen so far, their weights (k,), and a Cholesky factor of their inner products plus the penalty.

    Attributes:
        rows: (m, d) to choose from.
        target: (d,) what is to be matched.
        lengths: (m,) squared lengths plus the penalty.
        penalty: of the squared weights.
    """

    rows: Floats
    target: Floats
    lengths: Floats
    penalty: float
    chosen: list[int] = field(default_factory=list)
    gains: dict[int, float] = field(default_factory=dict)
    weights: Floats = field(default_factory=lambda: np.zeros(0))
    error: float = 0.0

    def __post_init__(self) -> None:
        self.error = float(self.target @ self.target)
        self._settled = _SETTLED * self.error
        self._factor: Floats = np.zeros((0, 0))
        self._rest = self.target

    def step(self) -> bool:
        """Add the row that alone brings the sum nearest, and fit all weights; False if none brings it nearer."""
        towards = np.maximum(self.rows @ self._rest, 0.0)
        alone = towards**2 / np.where(self.lengths > 0, self.lengths, np.inf)
        alone[self.chosen] = 0.0
        best = int(alone.argmax())
        if alone[best] <= self._settled or not self._added(best):
            return False
        before = self.error
        self._fit()
        self.gains[best] = before - self.error
        return self.gains[best] > 0

    def _added(self, row: int) -> bool:
        """Whether `row` could be added: not if it is a sum of those chosen."""
        from scipy.linalg import solve_triangular

        column = self.rows[self.chosen] @ self.rows[row]
        below = solve_triangular(self._factor, column, lower=True) if self.chosen else column
        left = float(self.lengths[row] - below @ below)
        if left <= _DEPENDENT * float(self.lengths[row]):
            return False
        k = len(self.chosen)
        wider = np.zeros((k + 1, k + 1))
        wider[:k, :k], wider[k, :k], wider[k, k] = self._factor, below, math.sqrt(left)
        self._factor, self.chosen = wider, [*self.chosen, row]
        self.weights = np.append(self.weights, 0.0)
        return True

    def _fit(self) -> None:
        """The best non-negative weights of the chosen: go towards the best of any sign, and drop what reaches 0 first.

        The inner loop of Lawson and Hanson, 1974, *Solving Least Squares Problems*.
        """
        from scipy.linalg import cho_solve

        while True:
            best = cho_solve((self._factor, True), self.rows[self.chosen] @ self.target)
            if (best > 0).all():
                break
            falling = best <= 0
            shares = self.weights[falling] / (self.weights[falling] - best[falling])
            moved = self.weights + float(shares.min()) * (best - self.weights)
            stays = ~(falling & (moved <= _DEPENDENT * np.abs(moved).max()))
            self._keep(stays, moved)
        self.weights = best
        self._rest = self.target - best @ self.rows[self.chosen]
        self.error = float(self._rest @ self._rest + self.penalty * (best @ best))

    def _keep(self, stays: NDArray[np.bool_], weights: Floats) -> None:
        """Go on with the chosen that stay (k,), at these weights (k,)."""
        self.chosen = [row for row, stay in zip(self.chosen, stays.tolist(), strict=True) if stay]
        self.weights = weights[stays]
        kept = self.rows[self.chosen]
        inner: Floats = kept @ kept.T + self.penalty * np.eye(len(kept))
        self._factor = np.asarray(np.linalg.cholesky(inner), np.float64)
