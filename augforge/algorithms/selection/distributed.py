"""Facility location in parts that need not be in memory, nor on one machine; the parts' answers are chosen from again.

Two ways to divide a pool, by how much is chosen of it:

    by hash     Each part is a random one, by the hash of the ids, and gives as many as are wanted in all. What they
                give is chosen from again, along a tree if it is much: RandGreeDi (Barbosa, Ene, Nguyen and Ward, 2015,
                *The Power of Randomization: Distributed Submodular Maximization on Massive Datasets*) and GreedyML
                (Gopal, Ferdous, Pothen and Halappanavar, 2024). Its parts are so large that it is for few.
    by cell     Each part is a cell of near points. The cells give twice as many as are wanted in all, by gain, and
                those are chosen from again.

In both, a part counts its own points only, and what it gives has weights when it is chosen from again: the sum of the
similarities of the points that it stands for. So choosing again counts points that are not read again.

The better of two is the answer, by the objective over a sample: what was chosen again, or what was there before that:
the best part by itself, or the largest gains of all cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from augforge.algorithms.selection.by_rows import Pool, salted
from augforge.algorithms.selection.cells import cells_of
from augforge.algorithms.selection.kernels import SPARSE_BYTES, nearest_of
from augforge.algorithms.selection.partition import largest_gains
from augforge.algorithms.selection.selection import Floats, Indices
from augforge.algorithms.selection.strategies import MERGED_ROWS
from augforge.algorithms.selection.units import (
    Chosen,
    Part,
    Representatives,
    Represented,
    Run,
    choose_in_part,
    in_steps,
    represent,
)

Division = Literal["hash", "cell"]

HASH_ROWS = 65_536  # a random part has about so many rows at most,
CELL_ROWS = 16_384  # and a cell
LEAST_ROWS = 8192  # a random part is no smaller
_TWICE = 2
_AHEAD, _MORE = 1.25, 2  # as `partition`
_JUDGED = 1 << 31  # similarities that are computed to tell which of two is better,
_JUDGED_ROWS = 100_000  # for at most so many rows
_UNIT = 65_536
_SALT_PARTS, _SALT_JUDGED = 2, 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pool is divided: all that the answer depends on beside the points, their keys and the budget."""

    division: Division
    parts: int
    neighbours: int
    memory: int


@dataclass(frozen=True, slots=True)
class Distributed:
    """The answer: (k,) members in order of gain, their gains (k,), and how it was made."""

    chosen: Indices
    gains: Floats
    note: str


def plan_of(n: int, budget: int, neighbours: int, memory: int) -> Plan:
    """How to divide n rows to choose `budget`: by sizes alone, never by the machine.

    By hash where the neighbours of the chosen are fewer than all rows, and a part has at least twice the budget; else
    by cell.
    """
    largest = max(LEAST_ROWS, memory // (SPARSE_BYTES * neighbours))
    rows = min(largest, max(LEAST_ROWS, 2 * budget, min(HASH_ROWS, neighbours * budget // 2)))
    if neighbours * budget < n and 2 * budget <= rows:
        return Plan("hash", -(-n // rows), neighbours, memory)
    return Plan("cell", -(-n // min(CELL_ROWS, largest)), neighbours, memory)


def distributed(pool: Pool, budget: int, plan: Plan, run: Run = map) -> Distributed:
    """Choose `budget` members of a pool: see the module.

    `run` computes parts; what it computes them by, how many at a time and in which order changes nothing.
    """
    return _by_hash(pool, budget, plan, run) if plan.division == "hash" else _by_cell(pool, budget, plan, run)


def _by_hash(pool: Pool, budget: int, plan: Plan, run: Run) -> Distributed:
    answers = _given(pool, budget, plan, run, [(rows, None) for rows in random_parts(pool, plan.parts)])
    best = max(answers, key=lambda given: given.objective)  # the first of equal ones
    levels = 0
    while len(answers) > 1:
        answers = _given(pool, budget, plan, run, list(_groups(answers, budget)))
        levels += 1
    whole = answers[0]
    if not levels or len(best.members) < budget or _better(pool, whole.members, best.members):
        return Distributed(whole.members, whole.gains, _told(plan, levels, "chosen again"))
    return Distributed(best.members, best.gains, _told(plan, levels, "of the best part"))


def random_parts(pool: Pool, count: int) -> list[Indices]:
    """The members of `count` parts, each by the order of their keys: whose part is whose depends on its key alone."""
    mixed = salted(pool.keys, _SALT_PARTS)
    order = np.argsort(mixed, kind="stable").astype(np.int64)
    starts = np.array([-(-(part << 64) // count) for part in range(1, count)], dtype=np.uint64)
    return [rows for rows in np.split(order, np.searchsorted(mixed[order], starts)) if len(rows)]


class _Given:
    """What a part gave: members of the pool instead of places in the part."""

    def __init__(self, members: Indices, found: Chosen) -> None:
        self.members = members[found.places]
        self.gains, self.weights, self.objective = found.gains, found.weights, found.objective


def _given(
    pool: Pool, budget: int, plan: Plan, run: Run, parts: Sequence[tuple[Indices, Floats | None]]
) -> list[_Given]:
    """What parts give, each of members (m,) and their weights (m,)."""
    units = [Part(pool.rows[members], min(budget, len(members)), weights) for members, weights in parts]
    found = _chosen(pool, plan, run, units)
    return [_Given(members, one) for (members, _), one in zip(parts, found, strict=True)]


def _groups(answers: Sequence[_Given], budget: int) -> Iterator[tuple[Indices, Floats | None]]:
    """Neighbours in the list of answers together, as many as may be chosen from at once: members and weights."""
    fan = max(2, MERGED_ROWS // max(1, budget))
    for start in range(0, len(answers), fan):
        some = answers[start : start + fan]
        members = np.concatenate([given.members for given in some])
        yield members, np.concatenate([given.weights for given in some])


def _by_cell(pool: Pool, budget: int, plan: Plan, run: Run) -> Distributed:
    cells = cells_of(pool, -(-len(pool) // plan.parts), run)
    wanted = min(len(pool), _TWICE * budget)
    members, gains = _largest_gains(pool, cells.members, wanted, plan, run)
    first, parted = members[:budget], "the largest gains of all cells"
    if wanted > max(MERGED_ROWS, plan.memory // (SPARSE_BYTES * plan.neighbours)):
        return Distributed(first, gains[:budget], _told(plan, 0, f"{parted}: too many to choose again"))
    weights = in_steps(represented(pool, members, run).covered)
    part = Part(pool.rows[members], budget, weights)
    (found,) = _chosen(pool, plan, run, [part])
    again = members[found.places]
    better = _better(pool, again, first)
    told = _told(plan, 1, "chosen again" if better else parted)
    return Distributed(again if better else first, found.gains if better else gains[:budget], told)


def _largest_gains(pool: Pool, cells: list[Indices], budget: int, plan: Plan, run: Run) -> tuple[Indices, Floats]:
    """The `budget` members with the largest gains, and these; as `partitioned`, which says why that is greedy."""
    sizes = [len(members) for members in cells]
    shares = [min(size, math.ceil(_AHEAD * budget * size / len(pool))) for size in sizes]
    answers = [(np.empty(0, np.int64), np.empty(0))] * len(cells)
    todo = list(range(len(cells)))
    while todo:
        found = _chosen(pool, plan, run, [Part(pool.rows[cells[number]], shares[number]) for number in todo])
        for number, one in zip(todo, found, strict=True):
            answers[number] = cells[number][one.places], one.gains
        members, gains, taken = largest_gains(answers, budget)
        todo = [number for number, count in enumerate(taken) if count == shares[number] < sizes[number]]
        for number in todo:
            shares[number] = min(sizes[number], _MORE * shares[number])
    return members, gains


def _chosen(pool: Pool, plan: Plan, run: Run, parts: Sequence[Part]) -> list[Chosen]:
    return list(run(partial(choose_in_part, pool.reading, plan.neighbours, plan.memory), parts))


def _better(pool: Pool, one: Indices, other: Indices) -> bool:
    """Whether `one` represents at least as much of a sample, taken by the hash of the ids, as `other`."""
    rows = pool.first(min(_JUDGED_ROWS, max(1, _JUDGED // len(one))), _SALT_JUDGED)
    points, likeness = pool.points(rows), pool.reading.likeness
    values = [nearest_of(points, pool.points(chosen), likeness)[0].sum(dtype=np.float64) for chosen in (one, other)]
    return bool(values[0] >= values[1])


def represented(pool: Pool, chosen: Indices, run: Run = map) -> Represented:
    """How well all members are represented by `chosen` (k,), in one pass over the pool.

    What is answered is never too large, see `Representatives`.
    """
    by = Representatives(pool.points(chosen), pool.reading.likeness)
    rows = (pool.rows[start : start + _UNIT] for start in range(0, len(pool), _UNIT))
    whole = Represented(0.0, np.zeros(len(chosen)), np.zeros(len(chosen)))
    for found in run(partial(represent, pool.reading, by), rows):
        whole = whole.with_(found)
    return whole


def _told(plan: Plan, levels: int, which: str) -> str:
    again = f", {levels} {'levels' if levels != 1 else 'level'}" if plan.division == "hash" else ""
    return f"{plan.parts} parts by {plan.division}{again}; {which}"
