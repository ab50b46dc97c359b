"""Rules that turn scores into verdicts. They read stored numbers only, so applying one again is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Verdict = tuple[NDArray[np.bool_], NDArray[np.object_]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One of: the best `keep` share, at least `minimum`, or at least mean - `deviations` * std.

    Applied within each group (a class) or over all, by `groups`. Scores are "higher is better".
    """

    keep: float | None = None
    minimum: float | None = None
    deviations: float | None = None

    def apply(self, scores: NDArray[np.float64], ids: Sequence[str], groups: NDArray[np.int64], within: str) -> Verdict:
        """Who stays, and why the others go.

        Args:
            scores: (n,) float; NaN means that nothing could be measured, and such a row goes.
            ids: (n,) break ties, the lowest id first, so that the answer does not depend on order.
            groups: (n,) a number for the group of each row.
            within: what a group is called in a reason, such as "its class".

        Returns:
            (n,) bool, true where the row stays; (n,) reasons, None where it stays.
        """
        stays = np.zeros(len(scores), dtype=bool)
        reasons = np.full(len(scores), None, dtype=object)
        for members in _by_group(groups):
            measured = members[~np.isnan(scores[members])]
            stays[measured] = self._stays(scores[measured], [ids[i] for i in measured])
        reasons[~stays] = self._reason(within)
        reasons[np.isnan(scores)] = "it has no score"
        return stays, reasons

    def _stays(self, scores: NDArray[np.float64], ids: Sequence[str]) -> NDArray[np.bool_]:
        if self.minimum is not None:
            return scores >= self.minimum
        if self.deviations is not None:
            return scores >= floor_of(scores, self.deviations)
        return best_share(scores, ids, 1.0 if self.keep is None else self.keep)

    def _reason(self, within: str) -> str:
        if self.minimum is not None:
            return f"under {self.minimum:g}"
        if self.deviations is not None:
            return f"under mean - {self.deviations:g} std of {within}"
        return f"not among the best {100 * (1.0 if self.keep is None else self.keep):g} % of {within}"


def best_share(scores: NDArray[np.float64], ids: Sequence[str], share: float) -> NDArray[np.bool_]:
    """(n,) bool: the floor(share * n) best, and at least one where share > 0; ties go to the lowest id."""
    count = int(share * len(scores) + 1e-9)
    if share > 0:
        count = max(1, count)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], ids[i]))
    stays = np.zeros(len(scores), dtype=bool)
    stays[order[:count]] = True
    return stays


def floor_of(scores: NDArray[np.float64], deviations: float) -> float:
    """mean - deviations * std. The std of one item is 0, so a lone item and equal scores all stay."""
    if len(scores) == 0 or np.ptp(scores) == 0:
        return -np.inf
    return float(scores.mean() - deviations * scores.std(ddof=1))


def _by_group(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each group."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return [part for part in np.split(order, starts) if len(part)]
