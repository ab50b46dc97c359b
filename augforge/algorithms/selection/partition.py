"""Facility location in parts: what is too large for the memory is divided, and the parts' answers are merged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from augforge.algorithms.selection.kernels import Sparse, nearest_of
from augforge.algorithms.selection.lists import Lists, nearest_beyond
from augforge.algorithms.selection.points import Likeness, Points
from augforge.algorithms.selection.selection import Floats, Indices
from augforge.algorithms.selection.sparse_greedy import sparse_greedy

_AHEAD = 1.25  # each list is asked for this times its share at first,
_MORE = 2  # and for this times as much again as long as all of it is taken


@dataclass(frozen=True, slots=True)
class Parted:
    """What `partitioned` answers.

    Attributes:
        chosen: (k,) the rows in order of gain.
        gains: (k,) their gains.
        closest: (n,) an upper bound on how similar each point is to any other one.
    """

    chosen: Indices
    gains: Floats
    closest: Points


def partitioned(points: Points, budget: int, likeness: Likeness, neighbours: int, lists: Lists) -> Parted:
    """Choose greedily in each of the lists of points (n, d), then take the `budget` largest gains.

    Within a list gains fall, and no choice in one list changes a gain in another one while similarities across lists
    are left out. So the largest of all gains are what the greedy choice over all lists would be. A list of which
    everything was taken is asked for more. The memory is that of one list at a time.
    """
    sizes = [len(rows) for rows in lists.rows]
    shares = [min(size, math.ceil(_AHEAD * budget * size / len(points))) for size in sizes]
    closest: Points = np.empty(len(points), dtype=np.float32)
    answers: list[tuple[Indices, Floats]] = [(np.empty(0, np.int64), np.empty(0))] * len(sizes)
    todo = list(range(len(sizes)))
    while True:
        for number in todo:
            rows = np.sort(lists.rows[number])  # rising, so that ties go to the lowest row
            kernel = Sparse(points[rows], likeness, neighbours)
            chosen, gains, _ = sparse_greedy(kernel, shares[number])
            answers[number] = rows[chosen], gains
            beyond = nearest_beyond(points[rows], likeness, lists, np.array([number]))
            closest[rows] = np.maximum(kernel.closest(), beyond)
        merged, gains, taken = largest_gains(answers, budget)
        todo = [number for number, count in enumerate(taken) if count == shares[number] < sizes[number]]
        if not todo:
            return Parted(merged, gains, closest)
        for number in todo:
            shares[number] = min(sizes[number], _MORE * shares[number])


def largest_gains(answers: list[tuple[Indices, Floats]], budget: int) -> tuple[Indices, Floats, list[int]]:
    """The `budget` rows with the largest gains, the first of each list first; and how many are of each list."""
    row, gain = np.concatenate([rows for rows, _ in answers]), np.concatenate([gains for _, gains in answers])
    rank = np.concatenate([np.arange(len(rows)) for rows, _ in answers])
    owner = np.repeat(np.arange(len(answers)), [len(rows) for rows, _ in answers])
    best = np.lexsort((row, rank, -gain))[:budget]
    return row[best], gain[best], np.bincount(owner[best], minlength=len(answers)).tolist()


def represented_in_parts(points: Points, chosen: Indices, likeness: Likeness, lists: Lists) -> tuple[Points, Indices]:
    """How well (n,) each point is represented by a member of its list, and by which of `chosen` (n,).

    In a list of which none is chosen, by any of the chosen.
    """
    best, owner = np.zeros(len(points), dtype=np.float32), np.zeros(len(points), dtype=np.int64)
    for members, own in _with_chosen(lists, chosen, len(points)):
        best[members], nearest = nearest_of(points[members], points[chosen[own]], likeness)
        owner[members] = own[nearest]
    best[chosen], owner[chosen] = 1, np.arange(len(chosen))
    return best, owner


def _with_chosen(lists: Lists, chosen: Indices, n: int) -> Iterator[tuple[Indices, Indices]]:
    """The rows of each list, and the places in `chosen` of those that are in it, or else of all."""
    place = np.full(n, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    for members in lists.rows:
        own = np.sort(place[members])
        own = own[own >= 0]
        yield members, own if len(own) else np.arange(len(chosen))
