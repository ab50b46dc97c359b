"""Facility location: the points that together represent all the others best."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.algorithms.selection.allocation import Allocation
from augforge.algorithms.selection.by_rows import Keys, Pool, RowReader, pool_of, reader_of
from augforge.algorithms.selection.distributed import distributed, plan_of, represented
from augforge.algorithms.selection.greedy import lazy_greedy, naive_greedy
from augforge.algorithms.selection.kernels import SPARSE_EXACT_ROWS, Dense, Kernel, Sparse
from augforge.algorithms.selection.lists import content_order, lists_of
from augforge.algorithms.selection.partition import partitioned, represented_in_parts
from augforge.algorithms.selection.points import Likeness, Points, Similarity, checked, likeness_of, placed
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Part, Selection, over_classes, sizes_of
from augforge.algorithms.selection.sparse_greedy import sparse_greedy
from augforge.algorithms.selection.strategies import Method, Strategies
from augforge.algorithms.selection.units import Run

_MEMORY = 512 << 20
_CHECKED_ROWS = 32_768  # beyond, comparing all rows with each other would take minutes
_SAMPLE = 256  # rows in which missed neighbours are counted
_MOST_MISSED = 0.002  # with more, the objective was under 99.95 % of that with true neighbours on some data


def facility_location(
    features: ArrayLike | RowReader,
    budget: int,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    similarity: Similarity = "cosine",
    width: float | None = None,
    method: Method = "auto",
    neighbours: int = 100,
    memory_budget_bytes: int = _MEMORY,
    keys: Keys | None = None,
    run: Run = map,
) -> Selection:
    """Maximise, in each class, f(A) = sum_i max_{j in A} S_ij, greedily.

    The selection of *Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022), for any features.
    With the dense method f(A) is at least (1 - 1/e) of the best possible on any data; with every method
    `upper_bound` tells how close it is on these. Gains are exact sums of a kernel in steps of 2**-20, and among
    equal gains the lowest row wins. So the answer depends on the order of rows only where gains tie, which is not
    rare: two rows that would represent each other and nobody else gain the same. Sort the rows by something that
    lasts. With the dense method, and with the sparse one up to 4,096 rows, a larger budget for a class only adds
    to the chosen, up to the whole class, which is taken in row order with gains of 1; "auto" may take another method
    for a larger budget.

    Args:
        features: (n, d) finite numbers, of any scale; or what reads them by rows, for more than fit into memory.
        budget: how many rows to keep in all; from n on, all are kept.
        labels: (n,) the class of each row, sortable; None for one class.
        allocation: how the budget is divided over the classes, see `budgets`.
        similarity: "cosine" is S = max(cos, 0), rows of zeros being alike among themselves only; "euclidean" is
            S = 1 - distance / D with D twice the largest distance to the class mean (any D gives the same choice);
            "exponential" is S = exp(-distance / width), the only one for which the scale of the features matters.
        width: of the exponential similarity, over 0; None for d.
        method: "dense" holds all similarities and is the exact greedy choice. "sparse" holds those of each row's
            `neighbours` nearest only (see `sparse_greedy`), which beyond 4,096 rows are sought in the lists around a
            row's own list (see `nearest`). Up to 32,768 rows, a sample of 256 is compared with all rows afterwards,
            and if more than 0.2 % of the pairs that choosing more could gain from were missed, the choice is made
            again with the true neighbours; a note says so. "partition" does the same in parts (see `partitioned`).
            "distributed" reads points by rows, in parts that need not be on one machine (see `distributed`).
            "naive" is the slow dense reference. "auto" decides for each class by its size m, its budget b, d and
            `neighbours`, never by the machine: dense up to 3,000 rows, or where the chosen have fewer than 2 m
            neighbours in all (b x `neighbours` < 2 m), for which sparse is less good; beyond, the faster of dense and
            sparse by the model of time in `strategies`, mostly sparse. It takes none that does not fit into
            `memory_budget_bytes`, and partition where neither fits, or distributed where the points themselves
            (4 m d bytes) are more than four times that.
        neighbours: for the sparse and partition methods, at least 1.
        memory_budget_bytes: for the similarities. Dense takes 4 m**2 for a class of m rows, sparse 20 m `neighbours`;
            the default admits 11,585 and (with 100 neighbours) 268,435 rows.
        keys: (n,) uint64, a hash of each row's id: what the distributed method divides and samples rows by, so that
            their order does not matter; None for a hash of the features.
        run: what computes the parts of the distributed method: `map`, or that of a pool of processes. It changes
            nothing but the time.

    Returns:
        A `Selection`. `gains` are those of the greedy choice (over the neighbours only, where not dense); `weights`
        and `objective` refer to all similarities, except that beyond 4,096 rows and with the partition method a row
        may have a chosen one that is yet nearer than the one it is counted for: then `objective` is a little too
        low. With the distributed method that is so beyond 16,384 chosen rows, and `upper_bound` is the number of rows:
        see `certify`. `upper_bound` holds in any case. The last of `notes` says which methods were used, with how
        much memory, and what they guarantee.

    Raises:
        ValueError: features that are not (n, d) or not finite (naming the row), labels of another length, or an
            option out of range.
    """
    array = features if isinstance(features, RowReader) else checked(features, similarity)
    strategies = Strategies(method, neighbours, memory_budget_bytes)
    n, d = array.shape
    breadth = width_of(width, d)

    def choose(members: Indices, share: int) -> Part:
        if share == len(members):
            return _whole(share)
        if strategies.take_distributed(len(members), d, share):
            pool = pool_of(reader_of(array), members, similarity, breadth, None if keys is None else keys[members])
            return _by_rows(pool, share, strategies, run)
        points, scale = placed(rows_of(array, members, similarity), similarity)
        return _choose(points, share, likeness_of(similarity, scale, breadth), strategies)

    found = over_classes(n, budget, labels, allocation, choose, math.fsum)
    return replace(found, notes=[*found.notes, strategies.note()]) if strategies.note() else found


def width_of(width: float | None, d: int) -> float:
    """The width of the exponential similarity: `width`, or the number of features."""
    if width is not None and not width > 0:
        raise ValueError(f"width is {width}: give a number over 0")
    return float(d or 1) if width is None else width


def rows_of(array: NDArray[Any] | RowReader, members: Indices, similarity: Similarity) -> NDArray[Any]:
    """(m, d) the features of some members (m,) of a class."""
    if isinstance(array, RowReader):
        return checked(array.read(members), similarity)
    return array if len(members) == len(array) else array[members]


def _whole(n: int) -> Part:
    """Everything is taken, and each stands for itself: there is nothing to compute."""
    ones = np.ones(n)
    return Part(np.arange(n, dtype=np.int64), ones, ones, float(n), float(n), "all")


def _by_rows(pool: Pool, budget: int, strategies: Strategies, run: Run) -> Part:
    plan = plan_of(len(pool), budget, strategies.neighbours, strategies.memory)
    found = distributed(pool, budget, plan, run)
    whole = represented(pool, found.chosen, run)
    sizes = np.maximum(whole.sizes, 1)
    return Part(found.chosen, found.gains, sizes, whole.objective, float(len(pool)), "distributed", found.note)


def _choose(points: Points, budget: int, likeness: Likeness, strategies: Strategies) -> Part:
    strategy = strategies.take(len(points), points.shape[1], budget)
    if strategy == "partition":
        return _in_parts(points, budget, likeness, strategies)
    if strategy == "sparse":
        return _sparsely(points, budget, likeness, strategies.neighbours)
    kernel = Dense(points, likeness)
    chosen, gains, _ = (naive_greedy if strategy == "naive" else lazy_greedy)(kernel, budget)
    cover, owner = kernel.represented(chosen)
    objective = _sum(cover)
    bound = min(_upper_bound(kernel, cover, budget), objective / (1 - 1 / math.e))
    return Part(chosen, gains, sizes_of(owner, budget), objective, max(bound, objective), strategy)


def _sparsely(points: Points, budget: int, likeness: Likeness, neighbours: int) -> Part:
    """Among the neighbours that lists find, if those are enough; otherwise among the true ones."""
    found, missed = _among_neighbours(points, budget, likeness, neighbours, SPARSE_EXACT_ROWS)
    if missed <= _MOST_MISSED:
        return found
    note = f"{missed:.1%} of the neighbours that matter were missed in lists: all rows were compared instead"
    return replace(_among_neighbours(points, budget, likeness, neighbours, len(points))[0], note=note)


def _among_neighbours(
    points: Points, budget: int, likeness: Likeness, neighbours: int, exact_rows: int
) -> tuple[Part, float]:
    """The choice, and which share of the neighbours that matter was missed in a sample; 0 where nothing was."""
    kernel = Sparse(points, likeness, neighbours, exact_rows)
    chosen, gains, reached = sparse_greedy(kernel, budget)
    cover, owner = kernel.represented(chosen)
    objective = _sum(cover)
    bound = max(_upper_bound(kernel, cover, budget), objective)
    part = Part(chosen, gains, sizes_of(owner, budget), objective, bound, "sparse", _far(reached, neighbours))
    sampled = exact_rows < len(points) <= _CHECKED_ROWS
    return part, kernel.missed(cover, content_order(points)[:_SAMPLE]) if sampled else 0.0


def _in_parts(points: Points, budget: int, likeness: Likeness, strategies: Strategies) -> Part:
    lists = lists_of(points, likeness, max(1, strategies.part(len(points)) // 2))  # a list is at most twice as long
    found = partitioned(points, budget, likeness, strategies.neighbours, lists)
    cover, owner = represented_in_parts(points, found.chosen, likeness, lists)
    objective = _sum(cover)
    bound = max(_nearest_bound(found.closest, budget), objective)
    return Part(found.chosen, found.gains, sizes_of(owner, budget), objective, bound, "partition")


def _sum(values: NDArray[Any]) -> float:
    return float(values.sum(dtype=np.float64))


def _upper_bound(kernel: Kernel, cover: Points, budget: int) -> float:
    """What no set of `budget` points exceeds.

    f(B) <= f(A) + sum over j in B of the gain of j given A, for every A (Nemhauser, Wolsey and Fisher, 1978); here
    with A the greedy set and A empty.
    """
    empty: Points = np.zeros(kernel.n, dtype=np.float32)
    bounds = (_bound_from(kernel, cover, budget), _bound_from(kernel, empty, budget))
    return min(*bounds, _nearest_bound(kernel.closest(), budget))


def _bound_from(kernel: Kernel, cover: Points, budget: int) -> float:
    return _sum(cover) + _sum(_largest(kernel.gains(cover), budget)) + kernel.unseen(cover)


def _nearest_bound(closest: Points, budget: int) -> float:
    """A member of a set represents itself wholly; any other point is no more similar to it than to its nearest."""
    return _sum(closest) + _sum(_largest(1 - closest.astype(np.float64), budget))


def _largest(values: Floats, count: int) -> Floats:
    return np.partition(values, len(values) - count)[len(values) - count :]


def _far(reached: Points, neighbours: int) -> str:
    """With the sparse kernel, some points may have none of the chosen among their neighbours."""
    lost = int((reached == 0).sum())
    if lost * 100 <= len(reached) or neighbours >= len(reached):
        return ""
    return f"{lost} of {len(reached)} members have no kept one among their {neighbours} nearest: raise neighbours"
