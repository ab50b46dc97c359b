"""How good a choice from points that are read by rows is: its objective within an interval, and what no choice exceeds.

For any prices v_i and any set B of k points, with cells c that divide the points,

    f(B) = sum_i max_{j in B} S_ij  <=  sum_i v_i  +  sum_{j in B} g_j  +  sum_i r_i

    g_j = sum of max(S_ij - v_i, 0) over the points i in the cell of j      (what j is worth in its cell)
    r_i = max(S_ij - v_i, 0) for the most similar j in any other cell       (what cells leave out)

and sum_{j in B} g_j <= k t + sum_j max(g_j - t, 0) for any t >= 0. All of it but the r_i adds up over the cells and
is computed of every point; the r_i need all pairs, and are computed of a sample. With v_i the similarity to what was
chosen this is the bound of greedy (Nemhauser, Wolsey and Fisher, 1978); prices that are a little higher often give a
lower bound, as in linear programming, so some are tried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import Pool, Reading
from augforge.algorithms.selection.cells import cells_of
from augforge.algorithms.selection.kernels import nearest_of
from augforge.algorithms.selection.points import Points, product_blocks
from augforge.algorithms.selection.selection import Floats, Indices
from augforge.algorithms.selection.units import Representatives, Run

RAISED = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""By how much prices are higher than the similarity to what was chosen."""
_CELL_ROWS = 4096
_THRESHOLDS = 64
_SALT = 4
_BLOCK_NUMBERS = 4 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of a choice.

    Attributes:
        objective: the estimate of its objective, from the sample.
        interval: what the objective lies in.
        upper_bound: no choice of as many has a larger objective.
        rows: the size of the sample.
        sample: (rows,) the members in it.
    """

    objective: float
    interval: tuple[float, float]
    upper_bound: float
    rows: int
    sample: Indices


def bounds_of(pool: Pool, chosen: Indices, doubt: float, pairs: int, run: Run = map) -> Bounds:
    """The objective of `chosen` (k,) and what no choice of k exceeds; all hold but for a probability of `doubt`.

    The sample is taken by the hash of the ids, so the probability is over hashes: it is that of a random sample, as far
    as they are as good as random.

    Args:
        pairs: about how many similarities to compute for the sample; n for each of its rows.
    """
    n, k = len(pool), len(chosen)
    sample = pool.first(min(n, max(1000, pairs // n)), _SALT)
    points, picked = pool.points(sample), pool.points(chosen)
    cover = nearest_of(points, picked, pool.reading.likeness)[0].astype(np.float64)
    cover[np.isin(sample, chosen)] = 1
    mean, off = float(cover.mean()), deviation(cover, doubt / 4, n)
    cells = cells_of(pool, _CELL_ROWS, run).members
    thresholds = np.concatenate([[0.0], np.geomspace(1e-3, 10, _THRESHOLDS)]) * n / k
    work = partial(bound_cell, pool.reading, Representatives(picked, pool.reading.likeness), points, thresholds)
    home, places = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    for number, members in enumerate(cells):
        home[members], places[members] = number, np.arange(len(members))
    units = [CellUnit(pool.rows[c], np.flatnonzero(home[sample] == number)) for number, c in enumerate(cells)]
    prices, above = np.zeros(len(RAISED)), np.zeros((len(RAISED), len(thresholds)))
    outside, own = np.zeros(len(sample), dtype=np.float32), np.zeros(len(sample))
    for unit, found in zip(units, run(work, units), strict=True):
        prices += found.prices
        above += found.above
        outside = np.maximum(outside, found.outside)
        own[unit.own] = found.cover[places[sample[unit.own]]]
    least = float(n)
    for number, raised in enumerate(RAISED):
        left_out = np.clip(outside - own - raised, 0, 1)
        missed = float(left_out.mean()) + deviation(left_out, doubt / (2 * len(RAISED)), n)
        worth = float((k * thresholds + above[number]).min())
        least = min(least, float(prices[number]) + worth + n * missed)
    interval = (n * max(0.0, mean - off), n * min(1.0, mean + off))
    return Bounds(n * mean, interval, least, len(sample), sample)


@dataclass(frozen=True, slots=True)
class CellUnit:
    """The rows (m,) of a cell, and which of the sample (s,) are among them."""

    rows: Indices
    own: Indices


@dataclass(frozen=True, slots=True)
class CellBound:
    """What a cell adds: prices (p,), worth above each threshold (p, t); and how similar it is to the sample (s,).

    `cover` (m,) is how similar each of its points is to the nearest chosen one; `outside` is 0 for its own points.
    """

    prices: Floats
    above: Floats
    outside: Points
    cover: Points


def bound_cell(
    reading: Reading, chosen: Representatives, sample: Points, thresholds: Floats, unit: CellUnit
) -> CellBound:
    """What one cell adds to the bound."""
    points = reading.points(unit.rows)
    cover, _ = chosen.of(points)
    worth = np.zeros((len(RAISED), len(points)))
    for rows in product_blocks(len(points)):
        values = reading.likeness.between(points[rows], points)
        values[np.arange(len(values)), np.arange(rows.start, rows.stop)] = 1
        values -= cover[rows, None]
        _, column = np.nonzero(values > 0)
        extra = values[values > 0].astype(np.float64)
        for number, raised in enumerate(RAISED):
            worth[number] += np.bincount(column, weights=np.maximum(extra - raised, 0), minlength=len(points))
    prices = np.array([np.minimum(cover.astype(np.float64) + raised, 1).sum() for raised in RAISED])
    above = np.stack([np.maximum(worth - threshold, 0).sum(axis=1) for threshold in thresholds], axis=1)
    outside, _ = nearest_of(sample, points, reading.likeness)
    outside[unit.own] = 0
    return CellBound(prices, above, outside, cover)


def deviation(values: NDArray[Any], doubt: float, n: int) -> float:
    """By how much the mean of n numbers in [0, 1] is over or under that of a random few (m,), each but for `doubt`.

    The smaller of Hoeffding's bound (1963, which holds without replacement too) and the empirical Bernstein-Serfling
    one (Bardenet and Maillard, 2015, *Concentration inequalities for sampling without replacement*, theorem 4.3), at
    half of the doubt each.
    """
    m = len(values)
    if m == n:
        return 0.0
    hoeffding = math.sqrt(math.log(2 / doubt) / (2 * m))
    log = math.log(10 / doubt)
    bernstein = float(values.std()) * math.sqrt(2 * log / m) + (7 / 3 + 3 / math.sqrt(2)) * log / m
    return min(hoeffding, bernstein)


def curve_of(pool: Pool, sample: Indices, order: Indices, at: Sequence[int]) -> Floats:
    """(p,) the objective of the first at[0], at[1], ... of `order` (k,), which rise; estimated from a sample (s,)."""
    points, likeness = pool.points(sample), pool.reading.likeness
    place = np.full(len(pool), len(order))
    place[order] = np.arange(len(order))
    cover, found, start = np.zeros(len(sample)), [], 0
    step = max(1, _BLOCK_NUMBERS // len(sample))
    for end in at:
        for first in range(start, end, step):
            some = pool.points(order[first : min(end, first + step)])
            cover = np.maximum(cover, likeness.between(points, some).max(axis=1))
        cover[place[sample] < end] = 1
        start = end
        found.append(float(cover.sum()) * len(pool) / len(sample))
    return np.array(found)
