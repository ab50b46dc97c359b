"""What every cut would keep: histograms and counts of the scores of a run, read from its samples.parquet alone.

The counts come from the rules that the filters apply, over all images that have the score, whether they were kept or
dropped; an image that went before it was measured does not count.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from augforge.algorithms.rules import OUTLIERS, Rule, Scale
from augforge.data.record import check_ledger, no_run
from augforge.errors import RecipeError, StoreError, shortened
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.filter import Filter

QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
SHARES = (0.95, 0.9, 0.8, 0.5)
DEVIATIONS = (0.0, 1.0, 2.0)
ROBUST = (OUTLIERS, 5.0)
COLUMNS = ["id", "label", "origin", "scores"]

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cut:
    """One rule: `option` and `value` as a filter takes them, and what it would keep of a group.

    `kept` is the count where the rule looks at the group as a whole (`scope: all`), `kept_by_class` where it looks at
    each class of it (`scope: class`). `bound` is the worst score that stays with the first, None if nothing does.
    """

    option: str
    value: float
    kept: int
    kept_by_class: int
    bound: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The scores of the images of one origin and class; None stands for all.

    `edges` (b + 1,) and `counts` (b,) are the histogram, over the same edges in all groups of a measure; `mean`, `std`
    (unbiased, 0 for a lone image) and `quantiles` (by share) are of the scores; `missing` images have none.
    """

    origin: str | None
    label: str | None
    count: int
    missing: int
    mean: float
    std: float
    quantiles: dict[float, float]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One score of a run, and whether lower is better; its groups: all images, then by origin and class."""

    name: str
    lower_is_better: bool
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The columns as numbers: `ids` (n,) their ranks, `classes` and `origins` (n,) places in `labels` and `kinds`."""

    ids: Numbers
    classes: Numbers
    origins: Numbers
    labels: list[str | None]
    kinds: list[str]
    scores: pa.MapArray


def thresholds(
    folder: Path,
    *,
    names: Collection[str] | None = None,
    minimums: Sequence[float] = (),
    outliers: Sequence[float] = ROBUST,
    shares: Sequence[float] = SHARES,
    deviations: Sequence[float] = DEVIATIONS,
    bins: int = 20,
) -> list[Measure]:
    """The scores of the run in `folder`, and what cuts would keep.

    Args:
        folder: a run folder.
        names: the measures wanted; all if None.
        minimums: values of `min` (of `max` where less is better) to try; without any, quantiles of each measure.
        outliers: values of `outliers` to try.
        shares: values of `keep` to try, in [0, 1].
        deviations: values of `mean-minus-std` to try.
        bins: bars of a histogram.

    Returns:
        The measures by name; [] for a run that measured nothing.

    Raises:
        StoreError: the folder has no readable samples.parquet.
        RecipeError: a name is no measure of this run.
    """
    if any(not math.isfinite(minimum) for minimum in minimums):
        raise RecipeError("--min: it is a number that scores are compared with", "for example --min 0.2")
    rows = _read(folder / "samples.parquet")
    known = sorted(set(pc.unique(rows.scores.keys).to_pylist()))
    for name in names or ():
        if name not in known:
            raise RecipeError(f"{folder} has no score {name!r}", "it has: " + (shortened(known) or "none"))
    wanted = known if names is None else sorted(names)
    tried = {"outliers": outliers, "keep": shares, "deviations": deviations}
    return [_measure(name, rows, minimums, tried, bins) for name in wanted]


def _read(path: Path) -> _Rows:
    if not path.is_file():
        raise no_run(path.parent)
    check_ledger(path.parent)
    try:
        table = pq.read_table(path, columns=COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}", "give the folder of a finished run") from error
    order = np.argsort(np.array(table.column("id").to_pylist(), dtype=np.str_))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    classes, labels = _coded(table.column("label"))
    origins, kinds = _coded(table.column("origin"))
    return _Rows(ranks, classes, origins, labels, kinds, table.column("scores").combine_chunks())


def _coded(column: pa.ChunkedArray) -> tuple[Numbers, list[Any]]:
    """(n,) the place of each value in the sorted list of all; a missing one comes last."""
    values = sorted(pc.unique(column).to_pylist(), key=lambda value: (value is None, value or ""))
    places = pc.index_in(column, value_set=pa.array(values, column.type))
    return np.asarray(places).astype(np.int64), values


def _measure(
    name: str, rows: _Rows, minimums: Sequence[float], tried: Mapping[str, Sequence[float]], bins: int
) -> Measure:
    found = pc.map_lookup(rows.scores, name, "first").to_numpy(zero_copy_only=False)
    scores = np.asarray(found, dtype=np.float64)
    shape: dict[str, Any] = {"lower_is_better": name in falling_measures(), "scale": scales().get(name, "linear")}
    measured = ~np.isnan(scores)
    edges = _edges(scores[measured], bins)
    values = list(minimums) or sorted({float(v) for v in np.quantile(scores[measured], QUANTILES[1:-1])})
    bound = "maximum" if shape["lower_is_better"] else "minimum"
    options: dict[str, Sequence[float]] = {bound: values, **tried}
    rules = [Rule(**{**shape, option: value}) for option, each in options.items() for value in each]
    column = _Column(rows, scores, measured)
    groups = tuple(
        _group(origin, label, members, column, edges, rules) for origin, label, members in _groups(rows, measured)
    )
    return Measure(name, shape["lower_is_better"], groups)


@dataclass(frozen=True, slots=True)
class _Column:
    """A measure of all rows: `scores` (n,), and whether each was `measured` (n,)."""

    rows: _Rows
    scores: Scores
    measured: NDArray[np.bool_]


def _edges(scores: Scores, bins: int) -> Scores:
    edges: Scores = np.histogram_bin_edges(scores, bins)
    return edges


def _groups(rows: _Rows, measured: NDArray[np.bool_]) -> Iterator[tuple[str | None, str | None, NDArray[np.bool_]]]:
    """Origin, class and members of each group that has a score: all, each origin, each class, each of both."""
    labels = [None, *(place for place, label in enumerate(rows.labels) if label is not None)]
    for label in labels:
        of_label = np.ones(len(measured), dtype=bool) if label is None else rows.classes == label
        for origin in (None, *range(len(rows.kinds))):
            members = of_label if origin is None else of_label & (rows.origins == origin)
            if (members & measured).any():
                yield (
                    None if origin is None else rows.kinds[origin],
                    None if label is None else rows.labels[label],
                    members,
                )


def _group(
    origin: str | None,
    label: str | None,
    members: NDArray[np.bool_],
    column: _Column,
    edges: Scores,
    rules: Sequence[Rule],
) -> Group:
    mine = np.flatnonzero(members & column.measured)
    own, ids, classes = column.scores[mine], column.rows.ids[mine], column.rows.classes[mine]
    return Group(
        origin=origin,
        label=label,
        count=len(mine),
        missing=int((members & ~column.measured).sum()),
        mean=float(own.mean()),
        std=float(own.std(ddof=1)) if len(own) > 1 else 0.0,
        quantiles={share: float(value) for share, value in zip(QUANTILES, np.quantile(own, QUANTILES), strict=True)},
        edges=tuple(edges.tolist()),
        counts=tuple(np.histogram(own, edges)[0].tolist()),
        cuts=tuple(_cut(rule, own, ids, classes) for rule in rules),
    )


def _cut(rule: Rule, scores: Scores, ids: Numbers, classes: Numbers) -> Cut:
    options = {
        "min": rule.minimum,
        "max": rule.maximum,
        "outliers": rule.outliers,
        "keep": rule.keep,
        "mean-minus-std": rule.deviations,
    }
    ((option, value),) = ((name, given) for name, given in options.items() if given is not None)
    whole, _ = rule.apply(scores, ids, np.zeros(len(scores), dtype=np.int64), "all")
    several = len(classes) > 0 and bool((classes != classes[0]).any())
    by_class = rule.apply(scores, ids, classes, "its class")[0] if several else whole
    worst = np.max if rule.lower_is_better else np.min
    bound = float(worst(scores[whole])) if whole.any() else None
    return Cut(option, value, int(whole.sum()), int(by_class.sum()), bound)


@cache
def falling_measures() -> frozenset[str]:
    """The measures of the catalog's filters of which less is better."""
    return frozenset(name for cls in _filters() for name in cls.lower_is_better)


@cache
def scales() -> dict[str, Scale]:
    """The scales of the measures whose outliers are not looked for on a linear one."""
    return {name: scale for cls in _filters() for name, scale in cls.scales.items()}


def _filters() -> list[type[Filter]]:
    """The filters of the catalog that score images."""
    found = [stage_class(verb, name) for verb, name in STAGES if verb == Filter.verb]
    return [cls for cls in found if issubclass(cls, Filter)]
