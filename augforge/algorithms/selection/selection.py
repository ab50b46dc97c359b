"""What every selector answers, and the walk over classes that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.allocation import Allocation, budgets, moved

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Labels = Sequence[Any] | NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Selection:
    """The k rows that were chosen.

    Attributes:
        indices: (k,) row numbers; class after class in sorted label order, and in order of choice within a class.
        gains: (k,) what each added to the objective when it was chosen. See each selector for its meaning.
        weights: (k,) how many rows of its class each stands for (at least 1), or what its gradient is multiplied by,
            scaled to sum to k.
        objective: what the selector maximises, of this choice.
        upper_bound: no choice with the same class budgets has a larger objective.
        method: how it was computed, such as "dense".
        notes: what the caller should know, such as a class that was smaller than its share.
    """

    indices: Indices
    gains: Floats
    weights: Floats
    objective: float
    upper_bound: float
    method: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """What was chosen of one class; `chosen` (k,) counts within the class, `sizes` (k,) are not yet scaled."""

    chosen: Indices
    gains: Floats
    sizes: Floats
    objective: float
    upper_bound: float
    method: str
    note: str = ""


def over_classes(
    n: int,
    budget: int,
    labels: Labels,
    allocation: Allocation,
    choose: Callable[[Indices, int], Part],
    combine: Callable[[Iterable[float]], float],
) -> Selection:
    """Let `choose` pick from the members (m,) of each class as many as its budget, and join the answers."""
    members = members_of(n, labels)
    counts = {label: len(rows) for label, rows in members.items()}
    shares = budgets(counts, budget, allocation)
    parts = {label: choose(members[label], share) for label, share in shares.items() if share}
    notes = _budget_notes(counts, shares, budget, allocation, named=labels is not None)
    notes += [_about(label, labels is not None) + part.note for label, part in parts.items() if part.note]
    rows = [members[label][part.chosen] for label, part in parts.items()]
    return _whole(_joined(rows, np.int64), list(parts.values()), combine, notes)


def _whole(
    indices: Indices, parts: list[Part], combine: Callable[[Iterable[float]], float], notes: list[str]
) -> Selection:
    """The selection of rows `indices` (k,) that was made in `parts`, in the same order."""
    sizes = _joined([part.sizes for part in parts], np.float64)
    return Selection(
        indices=indices,
        gains=_joined([part.gains for part in parts], np.float64),
        weights=sizes * (len(sizes) / sizes.sum()) if len(sizes) else sizes,
        objective=combine(part.objective for part in parts) if parts else 0.0,
        upper_bound=combine(part.upper_bound for part in parts) if parts else 0.0,
        method=", ".join(sorted({part.method for part in parts})) or "nothing to choose",
        notes=notes,
    )


def sizes_of(owners: Indices, k: int) -> Floats:
    """(k,) how many of `owners` (n,) name each chosen one. One that nobody names counts as 1, as published."""
    return np.maximum(np.bincount(owners, minlength=k), 1).astype(np.float64)


def members_of(n: int, labels: Labels) -> dict[Any, Indices]:
    """The rows of each class, rising, by label in sorted order; all rows are one class where `labels` is None."""
    if labels is None:
        return {"": np.arange(n, dtype=np.int64)}
    if len(labels) != n:
        raise ValueError(f"there are {len(labels)} labels for {n} rows")
    number: dict[Any, int] = {}
    each = labels.tolist() if isinstance(labels, np.ndarray) else labels
    codes = np.fromiter((number.setdefault(label, len(number)) for label in each), dtype=np.int64, count=n)
    parts = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(number)))[:-1])
    return {label: parts[number[label]].astype(np.int64) for label in sorted(number)}


def _budget_notes(
    counts: dict[Any, int], shares: dict[Any, int], budget: int, allocation: Allocation, named: bool
) -> list[str]:
    available = sum(counts.values())
    if budget >= available:
        return [f"budget {budget} over {available} rows: all taken"] if budget > available else []
    notes = []
    for rank, (label, share) in enumerate(shares.items()):
        size = counts[label]
        surplus = moved(size, rank, len(counts), budget) if allocation == "equal" else 0
        if surplus:
            text = f"budget {size + surplus} over {size} members: all taken, {surplus} moved to other classes"
            notes.append(_about(label, named) + text)
        elif named and share == 0:
            notes.append(_about(label, named) + f"budget 0 over {size} members: none taken")
    return notes


def _about(label: Any, named: bool) -> str:
    return f"class {label}: " if named else ""


def _joined(arrays: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=dtype)
