"""Rules that turn scores into verdicts. They read stored numbers only, so applying one again is free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Verdict = tuple[NDArray[np.bool_], NDArray[np.object_]]


class Unjudged(Exception):
    """What a filter raises of an image that it cannot judge: the image is dropped, with the message as the reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of: the best `keep` share, within `minimum` and `maximum`, or at least mean - `deviations` * std.

    Applied within each group (a class) or over all, by `groups`. Higher is better, unless `lower_is_better`: then the
    best share is the lowest one, and the last rule is "at most mean + `deviations` * std". Without anything all stay.
    """

    keep: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    deviations: float | None = None
    lower_is_better: bool = False

    def apply(self, scores: NDArray[np.float64], ids: ArrayLike, groups: NDArray[np.int64], within: str) -> Verdict:
        """Who stays, and why the others go.

        Args:
            scores: (n,) float; NaN means that nothing could be measured, and such a row goes.
            ids: (n,) texts or numbers that break ties, the lowest first, so that the answer does not depend on order.
            groups: (n,) a number for the group of each row.
            within: what a group is called in a reason, such as "its class".

        Returns:
            (n,) bool, true where the row stays; (n,) reasons, None where it stays.
        """
        stays = np.zeros(len(scores), dtype=bool)
        reasons = np.full(len(scores), None, dtype=object)
        known = np.asarray(ids)
        for members in _by_group(groups):
            measured = members[~np.isnan(scores[members])]
            stays[measured] = self._stays(scores[measured], known[measured])
        reasons[~stays] = self._reasons(scores, within)[~stays]
        reasons[np.isnan(scores)] = "it has no score"
        return stays, reasons

    def _stays(self, scores: NDArray[np.float64], ids: ArrayLike) -> NDArray[np.bool_]:
        if self.minimum is not None or self.maximum is not None:
            low = -np.inf if self.minimum is None else self.minimum
            high = np.inf if self.maximum is None else self.maximum
            return (scores >= low) & (scores <= high)
        better = -scores if self.lower_is_better else scores
        if self.deviations is not None:
            return better >= floor_of(better, self.deviations)
        return best_share(better, ids, 1.0 if self.keep is None else self.keep)

    def _reasons(self, scores: NDArray[np.float64], within: str) -> NDArray[np.object_]:
        """(n,) why each would go."""
        if self.minimum is not None or self.maximum is not None:
            high = np.inf if self.maximum is None else self.maximum
            over, under = f"over {high:g}", f"under {-np.inf if self.minimum is None else self.minimum:g}"
            return np.where(scores > high, over, under).astype(object)
        return np.full(len(scores), self._reason(within), dtype=object)

    def _reason(self, within: str) -> str:
        if self.deviations is not None:
            side = ("over", "+") if self.lower_is_better else ("under", "-")
            return f"{side[0]} mean {side[1]} {self.deviations:g} std of {within}"
        return f"not among the best {100 * (1.0 if self.keep is None else self.keep):g} % of {within}"


def best_share(scores: NDArray[np.float64], ids: ArrayLike, share: float) -> NDArray[np.bool_]:
    """(n,) bool: the floor(share * n) best, and at least one where share > 0; ties go to the lowest id."""
    count = int(share * len(scores) + 1e-9)
    if share > 0:
        count = max(1, count)
    order = np.lexsort((np.asarray(ids), -scores))
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
