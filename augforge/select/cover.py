"""Facility location: the points that together represent all the others best."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.select.allocation import Allocation
from augforge.select.greedy import lazy_greedy, naive_greedy
from augforge.select.kernels import Dense, Kernel, Sparse
from augforge.select.points import Points, Similarity, checked, placed
from augforge.select.selection import Indices, Labels, Part, Selection, over_classes, sizes_of

Method = Literal["auto", "dense", "sparse", "naive"]


def facility_location(
    features: ArrayLike,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    similarity: Similarity = "cosine",
    method: Method = "auto",
    neighbours: int = 100,
    memory_budget_bytes: int = 64 << 20,
) -> Selection:
    """Maximise, in each class, f(A) = sum_i max_{j in A} S_ij, greedily.

    The selection of *Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022), for any features.
    f(A) is at least (1 - 1/e) of the best possible, and `upper_bound` tells how close it is on these data. Gains
    are exact sums of a kernel in steps of 2**-20, and among equal gains the lowest row wins. So the answer depends
    on the order of rows only where gains tie, which is not rare: two rows that would represent each other and
    nobody else gain the same. Sort the rows by something that lasts. A larger budget for a class only adds to the
    chosen, up to the whole class, which is taken in row order with gains of 1.

    Args:
        features: (n, d) finite numbers, of any scale.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        similarity: "cosine" is S = max(cos, 0), rows of zeros being alike among themselves only; "euclidean" is
            S = 1 - distance / D with D twice the largest distance to the class mean (any D gives the same choice).
        method: "dense" holds all similarities, "sparse" only those of each row's `neighbours` nearest (faiss,
            nothing quadratic in memory; the others count as 0 while choosing), "naive" is the slow dense reference,
            and "auto" is dense for the classes that fit `memory_budget_bytes` and sparse for the others.
        neighbours: for the sparse method, at least 1.
        memory_budget_bytes: a class of m rows is dense if 4 m**2 is within it; the default admits 4,096 rows.

    Returns:
        A `Selection`. `gains` are those of the greedy choice (with the sparse method, over the neighbours only);
        `weights`, `objective` and `upper_bound` always refer to all similarities.

    Raises:
        ValueError: features that are not (n, d) or not finite (naming the row), labels of another length, or an
            option out of range.
    """
    if method not in get_args(Method):
        raise ValueError(f"method is {method!r}: give one of {', '.join(get_args(Method))}")
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}: give 1 or more")
    array = checked(features, similarity)

    def choose(members: Indices, share: int) -> Part:
        if share == len(members):
            return _whole(share)
        road = _road(method, len(members), memory_budget_bytes)
        return _choose(_rows(array, members), share, similarity, road, neighbours)

    return over_classes(len(array), budget, labels, allocation, choose, math.fsum)


def _road(method: Method, n: int, memory: int) -> Method:
    if method != "auto":
        return method
    return "dense" if 4 * n * n <= memory else "sparse"


def _rows(array: NDArray[Any], members: Indices) -> NDArray[Any]:
    return array if len(members) == len(array) else array[members]


def _whole(n: int) -> Part:
    """Everything is taken, and each stands for itself: there is nothing to compute."""
    ones = np.ones(n)
    return Part(np.arange(n, dtype=np.int64), ones, ones, float(n), float(n), "all")


def _choose(rows: NDArray[Any], budget: int, similarity: Similarity, road: Method, neighbours: int) -> Part:
    points, _ = placed(rows, similarity)
    kernel: Kernel = Sparse(points, similarity, neighbours) if road == "sparse" else Dense(points, similarity)
    chosen, gains, reached = (naive_greedy if road == "naive" else lazy_greedy)(kernel, budget)
    cover, owner = kernel.represented(chosen)
    objective = float(cover.sum(dtype=np.float64))
    bound = _upper_bound(kernel, cover, budget)
    if road != "sparse":
        bound = min(bound, objective / (1 - 1 / math.e))
    return Part(
        chosen, gains, sizes_of(owner, budget), objective, max(bound, objective), road, _far(reached, neighbours)
    )


def _upper_bound(kernel: Kernel, cover: Points, budget: int) -> float:
    """What no set of `budget` points exceeds.

    f(B) <= f(A) + sum over j in B of the gain of j given A, for every A (Nemhauser, Wolsey and Fisher, 1978); here
    with A the greedy set and A empty. And no point is represented better than by itself.
    """
    empty: Points = np.zeros(kernel.n, dtype=np.float32)
    return min(float(kernel.n), _bound_from(kernel, cover, budget), _bound_from(kernel, empty, budget))


def _bound_from(kernel: Kernel, cover: Points, budget: int) -> float:
    largest = np.partition(kernel.gains(cover), kernel.n - budget)[kernel.n - budget :]
    return float(cover.sum(dtype=np.float64)) + float(largest.sum()) + kernel.unseen(cover)


def _far(reached: Points, neighbours: int) -> str:
    """With the sparse kernel, some points may have none of the chosen among their neighbours."""
    lost = int((reached == 0).sum())
    if lost * 100 <= len(reached) or neighbours >= len(reached):
        return ""
    return f"{lost} of {len(reached)} members have no kept one among their {neighbours} nearest: raise neighbours"
