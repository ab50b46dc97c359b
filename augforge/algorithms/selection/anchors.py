"""Diverse anchors: neither near-duplicates of what was chosen before, nor far outliers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.points import Points, checked, placed
from augforge.algorithms.selection.selection import Indices, Labels, Part, Selection, over_classes, sizes_of
from augforge.data.ids import key

Keys = NDArray[np.uint64]

_GRID = 2**20  # similarities are compared in steps of 2**-20, about as fine as a float32 product is accurate
_TIE_BITS = np.uint64(42)  # what is left of 64 bits beside a similarity of 0 to 2 in such steps
_AHEAD = 32
_TAKEN = np.uint64(2**64 - 1)


def diverse_anchors(
    features: ArrayLike,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    exclude: float = 0.2,
    include: float = 0.8,
    keys: Keys,
    draw: int = 0,
) -> Selection:
    """Choose, in each class, one at random, then always one at random that is neither too near nor too far.

    At every step the v rows that are left are sorted by their largest cosine similarity to those chosen, rising.
    One of positions floor(v (1 - include)) to floor(v (1 - exclude)), end excluded but at least one, is chosen,
    each as likely: the share `exclude` that is most like the chosen ones is left out, and so is the share
    1 - `include` that is least like them. This is the anchor mining of *Dark Side Augmentation: Generating Diverse
    Night Examples for Metric Learning* (ICCV 2023), where a chosen row can never come twice.

    The draws come from `keys` and `draw`, so the choice does not depend on the order of rows. Memory is that of a
    copy of the class, and of 32 similarities a row; time is that of budget x rows x d products.

    Args:
        features: (n, d) finite numbers.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        exclude: which share of the most similar rows is never chosen from, at least 0 and below `include`.
        include: up to which share rows are chosen from, counted from the most similar; at most 1.
        keys: (n,) uint64, one per row, such as hashes of ids; equal keys go by row.
        draw: another number gives another choice.

    Returns:
        A `Selection`. `gains` are 1 minus the largest similarity to those chosen before (0 to 2), 0 for the first.
        `objective` is the sum over the chosen of 1 minus the similarity to the nearest other chosen row of the
        class. It is not what the rule maximises, but what it is meant to raise without taking outliers.
        `upper_bound` is k²/(k-1) for k > 1 rows of a class: the nearest is no farther than the mean of the others,
        and the products of unit vectors sum to at least 0. A class that is taken as a whole counts 0 in both.

    Raises:
        ValueError: features that are not (n, d) or not finite (naming the row), keys or labels of another length,
            or an option out of range.
    """
    if not 0 <= exclude < include <= 1:
        raise ValueError(f"exclude is {exclude} and include {include}: give 0 <= exclude < include <= 1")
    array = checked(features, "cosine")
    if keys.shape != (len(array),) or keys.dtype != np.uint64:
        raise ValueError(f"keys are {keys.dtype} of shape {keys.shape}: give uint64 of shape ({len(array)},)")

    def choose(members: Indices, share: int) -> Part:
        if share == len(members):
            return Part(np.arange(share, dtype=np.int64), np.zeros(share), np.ones(share), 0.0, 0.0, "all")
        points, _ = placed(array[members], "cosine")
        mined = _Mining(points, keys[members], draw, exclude, include)
        for step in range(share):
            mined.choose(step)
        chosen = np.array(mined.chosen, dtype=np.int64)
        bound = share**2 / (share - 1) if share > 1 else 0.0
        sizes = sizes_of(mined.owner, share)
        return Part(chosen, np.array(mined.gains), sizes, _dissimilarity(points[chosen]), bound, "diverse-anchors")

    return over_classes(len(array), budget, labels, allocation, choose, math.fsum)


class _Mining:
    """The choice among the rows of one class, step by step.

    `rank` (n,) sorts the rows: the largest similarity to the chosen ones, then a hash; the chosen ones come last.
    """

    def __init__(self, points: Points, keys: Keys, draw: int, exclude: float, include: float) -> None:
        self._points, self._keys, self._draw = points, keys, draw
        self._exclude, self._include = exclude, include
        self._ties = _mixed(keys, draw, "ties") >> np.uint64(64 - int(_TIE_BITS))
        self._nearest = np.zeros(len(points), dtype=np.uint64)
        self._rank = self._ties.copy()
        self._rows: dict[int, NDArray[np.uint64]] = {}
        self.owner = np.zeros(len(points), dtype=np.int64)
        self.chosen: list[int] = []
        self.gains: list[float] = []

    def choose(self, step: int) -> None:
        """Choose one more row, and look how similar the others are to it."""
        band = self._band(len(self._points) - step) if step else np.arange(len(self._points))
        row = int(band[_mixed(self._keys[band], self._draw, step).argmin()])
        self.gains.append(2 - int(self._nearest[row]) / _GRID if step else 0.0)
        self.chosen.append(row)
        near = self._similarities(row, band, step)
        nearer = near > self._nearest
        self.owner[nearer] = step
        np.maximum(self._nearest, near, out=self._nearest)
        self._rank = (self._nearest << _TIE_BITS) | self._ties
        self._rank[self.chosen] = _TAKEN

    def _band(self, left: int) -> Indices:
        """The rows that may be chosen of the `left` ones that are not chosen yet."""
        first = min(_floor(left * (1 - self._include)), left - 1)
        last = max(_floor(left * (1 - self._exclude)), first + 1) - 1
        parted = np.partition(self._rank, (first, last))
        return np.flatnonzero((self._rank >= parted[first]) & (self._rank <= parted[last]))

    def _similarities(self, row: int, band: Indices, step: int) -> NDArray[np.uint64]:
        """(n,) similarities to `row`, from 0 to 2 in steps of the grid.

        Those of the rows that the next steps would choose from the same band are computed along: one matrix product
        takes little longer than a few products with one vector. A wrong guess costs time only.
        """
        if row not in self._rows:
            guesses = {int(band[_mixed(self._keys[band], self._draw, step + s).argmin()]) for s in range(1, _AHEAD)}
            wanted = [row, *sorted(guesses - {row})]
            products = np.clip(self._points[wanted] @ self._points.T, -1, 1)
            self._rows = dict(zip(wanted, np.rint((products + 1) * _GRID).astype(np.uint64), strict=True))
        return self._rows[row]


def _mixed(keys: Keys, *salt: int | str) -> Keys:
    """Another hash of every key for every `salt` (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed: Keys = keys + np.uint64(int(key("diverse-anchors", *salt)[:16], 16))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _floor(value: float) -> int:
    """The floor of `value`, where 10 x (1 - 0.8) is 2."""
    return math.floor(value + 1e-9)


def _dissimilarity(chosen: Points) -> float:
    """The sum over unit vectors (k, d) of 1 minus the similarity to the nearest other one; 0 for one alone."""
    if len(chosen) < 2:
        return 0.0
    total = 0.0
    for start in range(0, len(chosen), 1024):
        products = chosen[start : start + 1024] @ chosen.T
        rows = np.arange(len(products))
        products[rows, start + rows] = -1
        total += float((1 - products.max(axis=1).clip(-1, 1).astype(np.float64)).sum())
    return total
