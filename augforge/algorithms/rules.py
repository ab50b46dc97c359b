"""Rules that turn scores into verdicts. They read stored numbers only, so applying one again is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Verdict = tuple[NDArray[np.bool_], NDArray[np.object_]]
Scale = Literal["linear", "log", "logit"]
Usual = tuple[float, float]
"""The median of scores, and how far the lower half of them is from it."""

ROBUST_STD = 1.4826
"""Times the median absolute deviation is the standard deviation of normally distributed scores."""
OUTLIERS = 3.5
"""Robust standard deviations beyond which a score is an outlier, as Iglewicz and Hoaglin (1993) recommend."""
LEAST = 20
"""Scores that a group needs for a cut of its own: the deviation of fewer is too rough, and would drop good ones."""
TINY = 1e-12
STEP = 2.0**-20
"""What scores made from float32 vectors are exact to: the last bits depend on the machine."""


class Unjudged(Exception):
    """What a filter raises of an image that it cannot judge: the image is dropped, with the message as the reason."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of: no `outliers`, the best `keep` share, from `minimum` to `maximum`, or at least mean - `deviations` * std.

    Applied within each group (a class) or over all, by `groups`. Higher is better, unless `lower_is_better`: then the
    best share is the lowest one, and so on. Without anything all stay.

    An outlier is more than `outliers` robust standard deviations worse than the median (see `outlying`), on `scale`. A
    group of fewer than `LEAST` scores has the cut of all scores; where these are fewer, too, there are no outliers.

    Scores and bounds count to the nearest multiple of `step`, if that is not 0: so the low bits of another machine
    decide nothing. What differs by less is a tie, which ids break; only a score just between two steps can differ.
    """

    keep: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    deviations: float | None = None
    outliers: float | None = None
    lower_is_better: bool = False
    scale: Scale = "linear"
    step: float = 0.0

    @property
    def is_fixed(self) -> bool:
        """Whether the verdict on a score does not depend on the other scores."""
        moves = (self.deviations, self.outliers, None if self.keep == 1 else self.keep)
        return all(option is None for option in moves)

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
        scores = stepped(scores, self.step)
        stays = np.zeros(len(scores), dtype=bool)
        reasons = np.full(len(scores), None, dtype=object)
        known, everyone = np.asarray(ids), None if self.outliers is None else self._usual(scores[~np.isnan(scores)])
        for members in _by_group(groups):
            measured = members[~np.isnan(scores[members])]
            if self.outliers is not None:
                stays[measured] = ~self._outlying(scores[measured], everyone)
            else:
                stays[measured] = self._stays(scores[measured], known[measured])
        gone = np.flatnonzero(~stays)
        reasons[gone] = self._reasons(scores[gone], within)
        reasons[np.isnan(scores)] = "it has no score"
        return stays, reasons

    def _outlying(self, scores: NDArray[np.float64], everyone: Usual | None) -> NDArray[np.bool_]:
        """(m,) which of the scores (m,) of a group are outliers of it, or of `everyone` if the group is small."""
        usual = self._usual(scores) or everyone
        if self.outliers is None or usual is None:
            return np.zeros(len(scores), dtype=bool)
        return _beyond(self._better(scores), usual, self.outliers)

    def _usual(self, scores: NDArray[np.float64]) -> Usual | None:
        """What is usual among the scores of a group; None of too few."""
        return usual_of(self._better(scores)) if len(scores) >= LEAST else None

    def _better(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) scores on the rule's scale, of which higher is better."""
        return rescaled(scores, self.scale) * (-1 if self.lower_is_better else 1)

    def _stays(self, scores: NDArray[np.float64], ids: ArrayLike) -> NDArray[np.bool_]:
        if self.minimum is not None or self.maximum is not None:
            low = -np.inf if self.minimum is None else stepped(self.minimum, self.step)
            high = np.inf if self.maximum is None else stepped(self.maximum, self.step)
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
            return np.where(scores > stepped(high, self.step), over, under).astype(object)
        return np.full(len(scores), self._reason(within), dtype=object)

    def _reason(self, within: str) -> str:
        if self.outliers is not None:
            where = "above" if self.lower_is_better else "below"
            return f"more than {self.outliers:g} robust std {where} the median of {within}"
        if self.deviations is not None:
            side = ("over", "+") if self.lower_is_better else ("under", "-")
            return f"{side[0]} mean {side[1]} {self.deviations:g} std of {within}"
        return f"not among the best {100 * (1.0 if self.keep is None else self.keep):g} % of {within}"


def stepped(values: ArrayLike, step: float) -> Any:
    """`values` to the nearest multiple of `step`; as they are where it is 0."""
    return np.round(np.asarray(values) / step) * step if step else values


def best_share(scores: NDArray[np.float64], ids: ArrayLike, share: float) -> NDArray[np.bool_]:
    """(n,) bool: the floor(share * n) best, and at least one where share > 0; ties go to the lowest id. No NaN."""
    count = int(share * len(scores) + 1e-9)
    if share > 0:
        count = max(1, count)
    if not 0 < count < len(scores):
        return np.full(len(scores), count > 0)
    cut = np.partition(scores, len(scores) - count)[len(scores) - count]
    stays = scores > cut
    ties = np.flatnonzero(scores == cut)
    lowest = np.argsort(np.asarray(ids)[ties], kind="stable")
    stays[ties[lowest[: count - int(stays.sum())]]] = True
    return np.asarray(stays)


def floor_of(scores: NDArray[np.float64], deviations: float) -> float:
    """mean - deviations * std. The std of one item is 0, so a lone item and equal scores all stay."""
    if len(scores) == 0 or np.ptp(scores) == 0:
        return -np.inf
    return float(scores.mean() - deviations * scores.std(ddof=1))


def outlying(scores: NDArray[np.float64], group: NDArray[np.float64], deviations: float) -> NDArray[np.bool_]:
    """(n,) bool: which scores are more than `deviations` robust standard deviations below the median of their group.

    The modified z-score of Iglewicz and Hoaglin (*How to Detect and Handle Outliers*, 1993) with the median absolute
    deviation of the lower half alone, as the scores of good images often have a longer tail on one side. Only low
    scores can be outliers. Where more than half of the lower half are equal the deviation is 0, and nothing stands out.

    Args:
        scores: (n,) finite, higher is better.
        group: (m,) finite, m >= 1: the scores that say what is usual.
        deviations: how many; 3.5 drops one of 4,300 normally distributed scores.
    """
    return _beyond(scores, usual_of(group), deviations)


def usual_of(group: NDArray[np.float64]) -> Usual:
    """The median of a group (m,), m >= 1, and the robust standard deviation of its lower half; see `outlying`."""
    median = np.median(group)
    return float(median), float(ROBUST_STD * np.median(median - group[group <= median]))


def _beyond(scores: NDArray[np.float64], usual: Usual, deviations: float) -> NDArray[np.bool_]:
    median, deviation = usual
    found: NDArray[np.bool_] = (median - scores > deviations * deviation) & (deviation > 0)
    return found


def rescaled(scores: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """(n,) scores as they are, or their logarithm (positive scores), or their log-odds (scores in [0, 1])."""
    if scale == "linear":
        return scores
    inside: NDArray[np.float64] = np.clip(scores, TINY, None if scale == "log" else 1 - TINY)
    odds: NDArray[np.float64] = np.log(inside) if scale == "log" else np.log(inside / (1 - inside))
    return odds


def _by_group(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return [part for part in np.split(order, starts) if len(part)]
