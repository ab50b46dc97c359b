"""How good a choice is: beside random and k-center, against a bound, and for other budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.algorithms.selection.allocation import Allocation, budgets
from augforge.algorithms.selection.bounds import bounds_of, curve_of
from augforge.algorithms.selection.by_rows import Pool, RowReader, pool_of, reader_of
from augforge.algorithms.selection.centers import farthest_first
from augforge.algorithms.selection.cover import rows_of, width_of
from augforge.algorithms.selection.lists import content_order
from augforge.algorithms.selection.points import Likeness, Points, Similarity, checked, likeness_of, placed
from augforge.algorithms.selection.selection import Floats, Indices, Labels, Selection, members_of
from augforge.algorithms.selection.strategies import guarantee_of
from augforge.algorithms.selection.units import Run

_POINTS = 20
_DOUBT = 1e-6
_BLOCK_NUMBERS = 4 << 20
_IN_MEMORY = 8192  # rows of a class that need not be read by rows
_MORE_PAIRS = 10
_NARROW = 10  # a tenth of the rows that are looked at decide where the bound bends


@dataclass(frozen=True, slots=True)
class Curve:
    """The objective of the first so many rows of each order of choice; what a smaller budget would give.

    Attributes:
        budgets: (p,) rising, the last one is the budget.
        chosen: (p,) the objective of the selection.
        random: (p,) of random rows.
        k_center: (p,) of farthest-first rows; None where that would take too long.
    """

    budgets: Indices
    chosen: Floats
    random: Floats
    k_center: Floats | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What can be said of a selection.

    Attributes:
        objective: f of the selection, and of as many rows chosen otherwise: `random`, `k_center` (None where that
            would take too long).
        upper_bound: no choice with the same class budgets has a larger f.
        confidence: the probability that the bound holds; 1.0 where every row was looked at.
        gap: 1 - objective / upper_bound: no choice is better by more than this share of the bound.
        curve: f against the budget.
        rows: how many rows were looked at, of `of` rows. Beside the bound, numbers are scaled up from them.
        method: how the selection was computed, such as "dense" or "dense, sparse".
        guarantee: which share of the best possible objective that method always reaches, whatever the data.
        interval: what the objective lies in with that confidence, where classes were read by rows; else None.
    """

    objective: float
    random: float
    k_center: float | None
    upper_bound: float
    confidence: float
    gap: float
    curve: Curve
    rows: int
    of: int
    method: str
    guarantee: str
    notes: list[str] = field(default_factory=list)
    interval: tuple[float, float] | None = None

    def facts(self) -> dict[str, Any]:
        """All of it as JSON-like values."""
        center = self.curve.k_center
        curve = {
            "budget": self.curve.budgets.tolist(),
            "chosen": self.curve.chosen.tolist(),
            "random": self.curve.random.tolist(),
            "k-center": None if center is None else center.tolist(),
        }
        named = {"objective": self.objective, "random": self.random, "k-center": self.k_center}
        bound: dict[str, Any] = {"upper-bound": self.upper_bound, "confidence": self.confidence, "gap": self.gap}
        made = {"method": self.method, "guarantee": self.guarantee}
        bound |= {} if self.interval is None else {"objective-interval": list(self.interval)}
        return {**named, **bound, **made, "curve": curve, "rows": self.rows, "of": self.of, "notes": self.notes}


def certify(
    features: ArrayLike | RowReader,
    selection: Selection,
    *,
    labels: Labels = None,
    allocation: Allocation = "proportional",
    similarity: Similarity = "cosine",
    width: float | None = None,
    keys: NDArray[np.uint64] | None = None,
    pairs: int = 1_000_000_000,
    run: Run = map,
) -> Certificate:
    """Compare a facility-location selection with random and k-center rows, with a bound and with other budgets.

    f and the bound need the similarities of all pairs of a class. Where they are more than `pairs`, only as many
    rows of each class are looked at, taken by a hash of their content, as good as random. Then the objectives are
    estimates, and the bound holds with a probability of at least 1 - 1e-6. k-center is left out for a class where it
    would look at more than `pairs` pairs.

    The bound: a chosen row represents itself wholly, and any other row i is at most e_i similar to one, the largest
    similarity to any other row. So with b rows chosen, f <= b t + sum_i max(e_i, 1 - t) for every t in [0, 1].
    Of m rows drawn at random, the mean of max(e_i, 1 - t) is less than its expectation by at most
    t sqrt(ln(1 / p) / (2 m)) but for a probability of p (Hoeffding, 1963); t is fitted to other rows than those m.

    Of a selection with the distributed method, classes of more than 8,192 rows are read by rows, and bounded by cells
    and a sample of the rows (see `bounds`), for which ten times as many pairs are looked at. Their objective is in an
    interval, with the same probability.

    Args:
        features: (n, d), as given to `facility_location`; so are `labels`, `allocation`, `similarity` and `width`.
        selection: what it answered.
        keys: (n,) uint64 that decide which rows random ones are: the smallest; None for pseudo-random numbers.
        pairs: about how many similarities to compute for the bound.
        run: computes the cells, as that of `facility_location` does parts.

    Raises:
        ValueError: as `facility_location`, or a selection that was made with other labels or another allocation.
    """
    array = features if isinstance(features, RowReader) else checked(features, similarity)
    n, breadth = array.shape[0], width_of(width, array.shape[1])
    members = members_of(n, labels)
    counts = {label: len(rows) for label, rows in members.items()}
    shares = budgets(counts, len(selection.indices), allocation)
    steps = _steps(len(selection.indices))
    at = [budgets(counts, int(step), allocation) for step in steps]
    keys = _drawn(n) if keys is None else keys
    least = _read_by_rows(selection, n)
    parts, start = [], 0
    for label, rows in members.items():
        chosen = _places(rows, selection.indices[start : start + shares[label]])
        start += shares[label]
        if not shares[label]:
            continue
        if len(rows) > least:
            pool = pool_of(reader_of(array), rows, similarity, breadth, keys[rows])
            doubt = _DOUBT / len(members)
            parts.append(_part_by_rows(pool, chosen, [b[label] for b in at], doubt, _MORE_PAIRS * pairs, run))
            continue
        points, scale = placed(rows_of(array, rows, similarity), similarity)
        look = min(len(rows), max(1, pairs // n))
        orders = _orders(points, chosen, keys[rows], pairs)
        parts.append(_part(points, likeness_of(similarity, scale, breadth), orders, [b[label] for b in at], look))
    return _joined(parts, selection, steps)


def _drawn(n: int) -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, 2**64, size=n, dtype=np.uint64)


def _read_by_rows(selection: Selection, n: int) -> int:
    """Classes of more rows than this are read by rows: none of n, unless some were when the selection was made."""
    return _IN_MEMORY if "distributed" in selection.method.split(", ") else n


@dataclass(frozen=True, slots=True)
class _Part:
    """One class: (3, p) objectives of the chosen, random and k-center rows (NaN where unknown), and its bound."""

    values: Floats
    mean: float
    slack: float
    rows: int
    of: int
    interval: tuple[float, float] | None = None


def _steps(budget: int) -> Indices:
    """(p,) at most 20 budgets up to `budget`, closer together where they are small."""
    return np.unique(np.rint(np.geomspace(1, max(1, budget), _POINTS)).astype(np.int64))[: max(0, budget)]


def _places(rows: Indices, chosen: Indices) -> Indices:
    """Where in `rows` (m,), which rise, the `chosen` (k,) are."""
    places = np.minimum(np.searchsorted(rows, chosen), len(rows) - 1)
    if not np.array_equal(rows[places], chosen):
        raise ValueError("the selection was made with other labels or another allocation")
    return places


def _orders(points: Points, chosen: Indices, keys: NDArray[np.uint64], pairs: int) -> list[Indices | None]:
    """Three ways to choose as many: as chosen, at random, and farthest first where that is affordable."""
    random = np.argsort(keys, kind="stable")[: len(chosen)]
    affordable = len(points) * len(chosen) <= pairs
    return [chosen, random, farthest_first(points, len(chosen))[0] if affordable else None]


def _part(points: Points, likeness: Likeness, orders: list[Indices | None], at: list[int], look: int) -> _Part:
    rows = np.arange(len(points)) if look == len(points) else content_order(points)[:look]
    known = [_objectives(points, likeness, rows, order, at) if order is not None else None for order in orders]
    values = np.array([np.full(len(at), np.nan) if found is None else found for found in known])
    budget = at[-1]
    if budget == len(points):
        return _Part(values, float(budget), 0.0, len(rows), len(points))
    bound, slack = _bound(_closest(points, likeness, rows), budget, len(points))
    return _Part(values, bound, slack, len(rows), len(points))


def _part_by_rows(pool: Pool, chosen: Indices, at: list[int], doubt: float, pairs: int, run: Run) -> _Part:
    """The same of a class that is read by rows; without k-center."""
    found = bounds_of(pool, chosen, doubt, pairs, run)
    random = np.argsort(pool.keys, kind="stable")[: len(chosen)]
    curves = [curve_of(pool, found.sample, order, at) for order in (chosen, random)]
    values = np.array([*curves, np.full(len(at), np.nan)])
    return _Part(values, found.upper_bound, 0.0, found.rows, len(pool), found.interval)


def _objectives(points: Points, likeness: Likeness, rows: Indices, order: Indices, at: list[int]) -> Floats:
    """(p,) the objective of the first at[0], at[1], ... of `order` (k,), over `rows` and scaled up to all."""
    ends = sorted({end for end in at if end})
    if not ends:
        return np.zeros(len(at))
    totals = np.zeros(len(ends))
    place = np.full(len(points), len(order))
    place[order] = np.arange(len(order))
    for block in _blocks(rows, len(order)):
        values = likeness.between(points[block], points[order])
        own = np.flatnonzero(place[block] < len(order))
        values[own, place[block][own]] = 1
        best = np.maximum.reduceat(values[:, : ends[-1]], [0, *ends[:-1]], axis=1)
        totals += np.maximum.accumulate(best, axis=1).sum(axis=0, dtype=np.float64)
    totals *= len(points) / len(rows)
    by_end = {0: 0.0, **dict(zip(ends, totals.tolist(), strict=True))}
    return np.array([by_end[end] for end in at])


def _closest(points: Points, likeness: Likeness, rows: Indices) -> Floats:
    """(m,) how similar each of `rows` (m,) is to the most similar other row; 0 where there is none."""
    parts = []
    for block in _blocks(rows, len(points)):
        values = likeness.between(points[block], points)
        values[np.arange(len(block)), block] = 0
        parts.append(values.max(axis=1).astype(np.float64))
    return np.concatenate(parts)


def _bound(closest: Floats, budget: int, n: int) -> tuple[float, float]:
    """The bound of `certify` for `budget` of n rows, and what to add where `closest` (m,) are not of all n."""
    if len(closest) == n:
        bend = _bend(closest, budget / n)
        return budget * bend + float(np.maximum(closest, 1 - bend).sum()), 0.0
    first = max(1, len(closest) // _NARROW)
    bend, rest = _bend(closest[:first], budget / n), closest[first:]
    if not len(rest):
        return float(n), 0.0
    slack = n * bend * math.sqrt(1 / (2 * len(rest)))
    return budget * bend + n * float(np.maximum(rest, 1 - bend).mean()), slack


def _bend(closest: Floats, share: float) -> float:
    """The t that makes the bound least: the share of rows with 1 - e_i over t is `share`."""
    falling = np.sort(1 - closest)[::-1]
    return float(falling[min(len(falling) - 1, int(share * len(falling)))])


def _blocks(rows: Indices, width: int) -> Iterator[Indices]:
    step = max(1, _BLOCK_NUMBERS // max(1, width))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _joined(parts: list[_Part], selection: Selection, steps: Indices) -> Certificate:
    chosen, random, center = _curves(parts)
    bound, confidence = _joined_bound(parts, selection)
    whole = not np.isnan(center).any()
    return Certificate(
        objective=selection.objective,
        random=float(random[-1]) if len(random) else 0.0,
        k_center=float(center[-1]) if whole and len(center) else None,
        upper_bound=bound,
        confidence=confidence,
        gap=1 - selection.objective / bound if bound else 0.0,
        curve=Curve(steps, chosen, random, center if whole else None),
        rows=sum(part.rows for part in parts),
        of=sum(part.of for part in parts),
        method=selection.method,
        guarantee=guarantee_of(selection.method),
        notes=[] if whole else ["k-center was left out: it would take too long"],
        interval=_joined_interval(parts),
    )


def _joined_interval(parts: list[_Part]) -> tuple[float, float] | None:
    """The interval of all classes together; of a class that has none, its objective as it was measured."""
    if all(part.interval is None for part in parts):
        return None
    ends = [part.interval or (float(part.values[0, -1]),) * 2 for part in parts]
    return math.fsum(low for low, _ in ends), math.fsum(high for _, high in ends)


def _curves(parts: list[_Part]) -> tuple[Floats, Floats, Floats]:
    """(p,) the objectives of the chosen, random and k-center rows, summed over the classes."""
    orders = [zip(*(part.values[order] for part in parts), strict=True) for order in range(3)]
    chosen, random, center = (np.array([math.fsum(column) for column in columns]) for columns in orders)
    return chosen, random, center


def _joined_bound(parts: list[_Part], selection: Selection) -> tuple[float, float]:
    """The smaller of the parts' bound and the selection's own, and the probability that it holds."""
    doubt = math.sqrt(math.log(max(1, len(parts)) / _DOUBT))
    bound = math.fsum(min(float(part.of), part.mean + doubt * part.slack) for part in parts)
    sampled = any(part.rows < part.of for part in parts) and bound < selection.upper_bound
    return max(selection.objective, min(bound, selection.upper_bound)), 1 - _DOUBT if sampled else 1.0
