"""Which images to look at first: those that a filter was least sure of, or some at random."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.data.ids import unit
from augforge.errors import RecipeError, did_you_mean
from augforge.review.measured import Measured, ScoreFilter, measured

WAYS = ("doubt", "random")
Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Doubt:
    """An image to look at.

    `doubt` is how far it is from the nearest cut, as the share of the images that lie between, in [0, 1]: 0 at the cut.
    `measure`, `score` and `cut` are those of the filter that it is nearest to; None where no filter scored it, and its
    doubt is 1 then. `kept` and `dropped_by` say what became of it.
    """

    sample: str
    digest: str
    label: str | None
    kept: bool
    dropped_by: str | None
    measure: str | None
    score: float | None
    cut: float | None
    doubt: float

    def plain(self) -> dict[str, Any]:
        """As JSON-like values."""
        return {name: getattr(self, name) for name in self.__slots__}


def to_review(folder: Path, count: int, by: str = "doubt", seed: int = 0, done: Collection[str] = ()) -> list[Doubt]:
    """The next images to look at, no more than `count`, in the order in which to show them.

    They are drawn in turn from each class, and of each from what was kept and what was dropped: by doubt the nearest to
    a cut first, else in an order that a hash of `seed` and id gives, which breaks ties, too. By doubt they are no
    random sample. The order is the same however many are done.

    Args:
        folder: a finished run.
        count: how many.
        by: "doubt" or "random".
        seed: any number.
        done: ids that are left out.

    Raises:
        RecipeError: there is no such way.
        StoreError: the run cannot be read.
    """
    if by not in WAYS:
        raise RecipeError(f"--by: {by!r} is no way to choose", did_you_mean(by, list(WAYS)))
    run = measured(folder)
    nearest = _nearest(run) if by == "doubt" else _Nearest.none(len(run))
    strata = _strata(run, _usable(run, done))
    ordered = [_first(run, members, nearest.doubt, count, seed) for members in strata]
    turns = np.array(list(islice(_in_turn(ordered), count)), dtype=np.int64)
    return _doubts(run, nearest, turns)


@dataclass(frozen=True, slots=True)
class _Nearest:
    """(n,) of each sample its `doubt`, the `score` and the `cut` of the filter that it is nearest to the cut of, and
    the place of that in `filters`, or -1."""

    filters: list[ScoreFilter]
    which: NDArray[np.int64]
    doubt: Floats
    score: Floats
    cut: Floats

    @classmethod
    def none(cls, n: int) -> _Nearest:
        """No filter scored anything."""
        return cls([], np.full(n, -1, dtype=np.int64), np.ones(n), np.full(n, np.nan), np.full(n, np.nan))


def _nearest(run: Measured) -> _Nearest:
    found = _Nearest.none(len(run))
    found.filters.extend(run.filters)
    for number, each in enumerate(run.filters):
        scores, cut = run.scores(each.measure), cuts_of(each, run)
        apart = _apart(scores, cut)
        nearer = apart < found.doubt
        found.doubt[nearer], found.which[nearer] = apart[nearer], number
        found.score[nearer], found.cut[nearer] = scores[nearer], cut[nearer]
    return found


def cuts_of(each: ScoreFilter, run: Measured) -> Floats:
    """(n,) the cut that each sample was judged by; NaN where it has no score.

    It is the `min` or `max` of the filter; else halfway between the worst score that it left and the best one that it
    dropped, in the sample's class or in all, as its `scope` says. Where it dropped none it is the worst score.
    """
    scores = run.scores(each.measure)
    found, rule = np.full(len(scores), np.nan), each.stage.rule()
    there = np.isfinite(scores)
    bound = rule.maximum if each.lower_is_better else rule.minimum
    if bound is not None:
        found[there] = bound
        return found
    labels = np.zeros(len(run), dtype=np.int64) if each.stage.scope == "all" else _classes(run)
    dropped = run.dropped_by(each.title)
    sign = -1.0 if each.lower_is_better else 1.0
    for label in np.unique(labels[there]):
        mine = there & (labels == label)
        found[mine] = sign * _boundary(sign * scores[mine], dropped[mine])
    return found


def _boundary(scores: Floats, dropped: NDArray[np.bool_]) -> float:
    """Where scores of which more is better were cut."""
    left, gone = scores[~dropped], scores[dropped]
    if not len(left) or not len(gone):
        return float(gone.max() if len(gone) else left.min())
    return float((left.min() + gone.max()) / 2)


def _apart(scores: Floats, cut: Floats) -> Floats:
    """(n,) the share of all scores that lie between each and its cut; infinite where there is no score."""
    known = np.sort(scores[np.isfinite(scores)])
    if not len(known):
        return np.full(len(scores), np.inf)
    low, high = np.minimum(scores, cut), np.maximum(scores, cut)
    between = np.searchsorted(known, high, "left") - np.searchsorted(known, low, "right")
    return np.where(np.isfinite(scores), np.maximum(between, 0) / len(known), np.inf)


def _classes(run: Measured) -> NDArray[np.int64]:
    codes = pc.fill_null(pc.dictionary_encode(run.rows.column("label")).combine_chunks().indices, -1)
    return np.asarray(codes).astype(np.int64)


def _usable(run: Measured, done: Collection[str]) -> NDArray[np.int64]:
    """The places of the samples that there is something to see of, and that are not done."""
    seen = np.asarray(pc.is_in(run.rows.column("id"), value_set=pa.array(list(done), pa.string())))
    bad = np.asarray(pc.fill_null(pc.equal(run.rows.column("dropped_by"), "source"), False))
    empty = np.asarray(pc.equal(pc.fill_null(run.rows.column("digest"), ""), ""))
    return np.flatnonzero(~(seen | bad | empty))


def _strata(run: Measured, places: Places) -> list[Places]:
    """The places by class and outcome, in the order of the classes' names."""
    classes, kept = _classes(run)[places], np.asarray(run.rows.column("kept"))[places]
    codes = 2 * classes + kept
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    found = [places[part] for part in np.split(order, starts) if len(part)]
    rows = run.rows.select(["label", "kept"]).take(np.array([part[0] for part in found], dtype=np.int64)).to_pylist()
    names = [(row["label"] or "", row["kept"]) for row in rows]
    return [found[number] for number in sorted(range(len(found)), key=names.__getitem__)]


def _first(run: Measured, members: Places, doubt: Floats, count: int, seed: int) -> list[int]:
    """Of a stratum the `count` that are most in doubt, in order; equal ones by a hash of seed and id."""
    mine = doubt[members]
    if len(members) > count:
        members = members[mine <= np.partition(mine, count - 1)[count - 1]]
    ids = run.rows.column("id").take(members).to_pylist()
    keys = [(doubt[place], unit("review", seed, i), place) for place, i in zip(members.tolist(), ids, strict=True)]
    return [place for _, _, place in sorted(keys)[:count]]


def _in_turn(strata: Sequence[Sequence[int]]) -> Iterator[int]:
    """One of each stratum after the other, until all are through."""
    for turn in range(max(map(len, strata), default=0)):
        yield from (places[turn] for places in strata if turn < len(places))


def _doubts(run: Measured, nearest: _Nearest, places: Places) -> list[Doubt]:
    rows = run.rows.select(["id", "digest", "label", "kept", "dropped_by"]).take(places).to_pylist()
    found = []
    for place, row in zip(places.tolist(), rows, strict=True):
        which = int(nearest.which[place])
        known = which >= 0
        judged: dict[str, Any] = {
            "measure": nearest.filters[which].measure if known else None,
            "score": float(nearest.score[place]) if known else None,
            "cut": float(nearest.cut[place]) if known else None,
        }
        found.append(Doubt(sample=row.pop("id"), **row, **judged, doubt=float(nearest.doubt[place])))
    return found
