"""Where reviewers and a filter disagree: the cut that would suit them, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.algorithms.cuts import Cut, Kept, best, curve
from augforge.algorithms.proportions import needed
from augforge.errors import RecipeError
from augforge.review.lines import Line
from augforge.review.log import read_review
from augforge.review.measured import Measured, ScoreFilter, measured
from augforge.review.standing import standing

WIDTH = 0.02
"""Half the width of an interval that is narrow enough: two points."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the reviewed images say about one score filter.

    Attributes:
        filter: which one.
        reviewed: how many images it scored that people kept or dropped; relabelled ones are none of them.
        now: what it keeps of them.
        cuts: every cut; [] where all reviewed images were kept, or all dropped, and nothing can be said.
        suggested: the one that is best, None where there is none.
        wrongly_kept: ids of images that it kept and people dropped.
        wrongly_dropped: ids of images that it dropped and people kept.
        more: how many more images to review so that the intervals of precision and recall are +- 2 points; None
            without a suggestion.
    """

    filter: ScoreFilter
    reviewed: int
    now: Kept
    cuts: tuple[Cut, ...]
    suggested: Cut | None
    wrongly_kept: tuple[str, ...]
    wrongly_dropped: tuple[str, ...]
    more: int | None

    @property
    def option(self) -> str:
        """The option of the filter that sets a cut."""
        return "max" if self.filter.lower_is_better else "min"

    def plain(self) -> dict[str, Any]:
        """As JSON-like values; a share of nothing is None."""
        return {
            "stage": self.filter.title,
            "number": self.filter.number,
            "measure": self.filter.measure,
            "option": self.option,
            "lower-is-better": self.filter.lower_is_better,
            "reviewed": self.reviewed,
            "good": self.now.good,
            "now": _plain(self.now),
            "suggested": None if self.suggested is None else _plain(self.suggested),
            "more": self.more,
            "wrongly-kept": list(self.wrongly_kept),
            "wrongly-dropped": list(self.wrongly_dropped),
            "curve": [[cut.at, _share(cut.precision), _share(cut.recall), cut.f1] for cut in self.cuts],
        }


def suggest(folder: Path, file: Path, precision: float | None = None) -> list[Suggestion]:
    """A suggestion for each score filter of a run, from what people decided about its images.

    They are of the reviewed images: of all images only as far as those were drawn at random.

    Args:
        folder: a finished run.
        file: a review file.
        precision: the least precision that is asked for, in (0, 1]; else the largest F1 is.

    Raises:
        StoreError: the run or the file cannot be read.
        RecipeError: `precision` is no share.
    """
    if precision is not None and not 0 < precision <= 1:
        raise RecipeError(f"--precision: {precision:g} is no share", "for example --precision 0.95")
    run, decisions = measured(folder), standing(read_review(file)).decisions()
    wanted = _reviewed(run, decisions)
    return [_suggestion(each, run, wanted, precision) for each in run.filters]


def _reviewed(run: Measured, decisions: Mapping[str, Line]) -> NDArray[np.int8]:
    """(n,) 1 of what people keep, 0 of what they drop, -1 of all other samples."""
    found = np.full(len(run), -1, dtype=np.int8)
    ids, digests = run.rows.column("id"), run.rows.column("digest")
    places = np.flatnonzero(pc.is_in(ids, value_set=pa.array(list(decisions), pa.string())))
    known = zip(places.tolist(), ids.take(places).to_pylist(), digests.take(places).to_pylist(), strict=True)
    for place, identity, digest in known:
        line = decisions[identity]
        if line.verdict != "relabel" and line.digest == digest:
            found[place] = line.verdict == "keep"
    return found


def _suggestion(filter: ScoreFilter, run: Measured, wanted: NDArray[np.int8], precision: float | None) -> Suggestion:
    scores = run.scores(filter.measure)
    seen = np.flatnonzero((wanted >= 0) & np.isfinite(scores))
    good, stays = wanted[seen] == 1, ~run.dropped_by(filter.title)[seen]
    now = Kept(int(stays.sum()), int((good & stays).sum()), int(good.sum()))
    cuts = curve(scores[seen], good, filter.lower_is_better) if 0 < now.good < len(seen) else []
    suggested = best(cuts, precision)
    ids = run.rows.column("id")
    return Suggestion(
        filter=filter,
        reviewed=len(seen),
        now=now,
        cuts=tuple(cuts),
        suggested=suggested,
        wrongly_kept=tuple(ids.take(seen[stays & ~good]).to_pylist()),
        wrongly_dropped=tuple(ids.take(seen[~stays & good]).to_pylist()),
        more=None if suggested is None else more_to_review(suggested, len(seen)),
    )


def more_to_review(kept: Kept, reviewed: int, half: float = WIDTH) -> int:
    """How many more images to review until precision and recall are known to +- `half`, if they stay what they are.

    As many more as it takes for enough of them to be kept, and enough to be good, at the rates of those `reviewed`.
    """
    parts = ((kept.precision, kept.kept), (kept.recall, kept.good))
    totals = [needed(share, half) * reviewed / count for share, count in parts if count]
    return max(0, math.ceil(max(totals, default=0) - reviewed - 1e-9))


def _plain(kept: Kept) -> dict[str, Any]:
    at = {"at": kept.at} if isinstance(kept, Cut) else {}
    shares = {"precision": _share(kept.precision), "recall": _share(kept.recall), "f1": kept.f1}
    ends = {"precision-interval": list(kept.precision_interval), "recall-interval": list(kept.recall_interval)}
    return {**at, "kept": kept.kept, "right": kept.right, **shares, **ends}


def _share(value: float) -> float | None:
    return None if math.isnan(value) else value
