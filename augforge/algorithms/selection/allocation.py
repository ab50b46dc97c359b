"""Divide a budget over classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np

Allocation = Literal["proportional", "equal"]


class Ordered(Protocol):
    """A label: something that sorts."""

    def __lt__(self, other: Any, /) -> bool: ...


Label = TypeVar("Label", bound=Ordered)


def budgets(counts: Mapping[Label, int], total: int, allocation: Allocation) -> dict[Label, int]:
    """How many to keep of each class.

    Places are handed out one at a time, so a larger `total` never takes a place away from a class:

    - *proportional*: first one place to every class, the largest first, then always to the class with the
      largest size / (places + 1/2). This is Webster's method. (The largest-remainder rule is as proportional,
      but a class can lose a place when the total grows, and then a larger subset would not contain a smaller.)
    - *equal*: round after round, one place to every class that still has members.

    A class gets at most its size, and what it cannot use goes to the others. Every class that is not empty gets at
    least one place if `total` is at least their number. Ties go to the first label in sorted order.

    Args:
        counts: the size of each class, at least 0.
        total: how many to keep in all, at least 0.
        allocation: "proportional" or "equal".

    Returns:
        The budget of each class in sorted label order; they sum to min(total, sum of counts).

    Raises:
        ValueError: a negative count or total, or an unknown allocation.
    """
    if total < 0:
        raise ValueError(f"the budget is {total}: give 0 or more")
    if allocation not in get_args(Allocation):
        raise ValueError(f"allocation is {allocation!r}: give one of {', '.join(get_args(Allocation))}")
    labels = sorted(counts)
    sizes = np.array([counts[label] for label in labels], dtype=np.int64)
    if (sizes < 0).any():
        raise ValueError(f"class {labels[int(sizes.argmin())]!r} has a negative count")
    # One row per place that could be given: whose it is, and which place of that class, from 0.
    owner = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if allocation == "equal":
        order = np.lexsort((owner, place))
    else:
        order = np.lexsort((owner, -sizes[owner] / (place + 0.5), place > 0))
    given = np.bincount(owner[order[:total]], minlength=len(sizes))
    return dict(zip(labels, given.tolist(), strict=True))


def moved(size: int, rank: int, classes: int, total: int) -> int:
    """How many places of an equal share of `total` the class at `rank` in label order is too small to use."""
    share = total // classes + (rank < total % classes)
    return max(0, share - size)
