"""What each filter of a query lets pass, as (n,) masks of the rows of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.view.build import HAS
from augforge.view.refusals import bad_request
from augforge.view.reviewed import VERDICTS
from augforge.view.spec import Between, CutFilter, Filters, Lasso

if TYPE_CHECKING:
    from augforge.view.opened import OpenRun

Mask = NDArray[np.bool_]


def mask_of(run: OpenRun, filters: Filters) -> Mask:
    """(n,) the rows that pass every filter.

    Raises:
        Refusal: a filter names what there is not.
    """
    passed = np.ones(len(run.index), dtype=bool)
    for name in type(filters).model_fields:
        value = getattr(filters, name)
        if value is not None:
            passed &= MASKS[name](run, value)
    return passed


def _coded(column: str) -> Callable[[OpenRun, Sequence[str | None]], Mask]:
    def mask(run: OpenRun, values: Sequence[str | None]) -> Mask:
        size = len(run.index.values[column])
        chosen = np.zeros(size + 1, dtype=bool)  # the last one, -1, is that of rows without a value
        for value in values:
            code = run.index.code(column, value)
            if code >= -1:
                chosen[code] = True
        return np.asarray(chosen[run.index.column(column)])

    return mask


def _kept(run: OpenRun, wanted: bool) -> Mask:
    return np.asarray(run.index.column("kept") == wanted)


def _hidden(run: OpenRun, wanted: Sequence[int]) -> Mask:
    return np.isin(run.index.column("hidden"), wanted)


def _scores(run: OpenRun, ranges: Mapping[str, Between]) -> Mask:
    passed = np.ones(len(run.index), dtype=bool)
    for name, each in ranges.items():
        if name not in run.index.scores:
            raise bad_request(f"this run has no score {name!r}")
        column = run.index.score(name)
        missing = np.isnan(column)
        low = -np.inf if each.min is None else each.min
        high = np.inf if each.max is None else each.max
        passed &= np.where(missing, each.missing, (column >= low) & (column <= high))
    return passed


def _bits(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in HAS]
    if unknown:
        raise bad_request(f"there is no annotation {unknown[0]!r}", "there are " + ", ".join(HAS))
    return sum(1 << HAS.index(name) for name in set(names))


def _has(run: OpenRun, names: Sequence[str]) -> Mask:
    bits = _bits(names)
    return np.asarray(run.index.column("has") & bits == bits)


def _without(run: OpenRun, names: Sequence[str]) -> Mask:
    return np.asarray(run.index.column("has") & _bits(names) == 0)


def _verdict(run: OpenRun, wanted: Sequence[str]) -> Mask:
    codes = [-1 if name == "none" else VERDICTS.index(name) for name in wanted]
    return np.isin(run.reviewed.now().verdict, codes)


def _reviewed(run: OpenRun, wanted: bool) -> Mask:
    return np.asarray((run.reviewed.now().verdict >= 0) == wanted)


def _marked(run: OpenRun, wanted: bool) -> Mask:
    return np.asarray(run.reviewed.now().marked == wanted)


def _noted(run: OpenRun, wanted: bool) -> Mask:
    return np.asarray(run.reviewed.now().noted == wanted)


def _who(run: OpenRun, people: Sequence[str]) -> Mask:
    return run.reviewed.by(people)


def _of_rows(run: OpenRun, rows: NDArray[np.integer[Any]]) -> Mask:
    found = np.zeros(len(run.index), dtype=bool)
    found[rows[rows >= 0]] = True
    return found


def _ids(run: OpenRun, ids: list[str]) -> Mask:
    return _of_rows(run, run.index.find(ids))


def _lasso(run: OpenRun, lasso: Lasso) -> Mask:
    plane = run.plane(lasso.map)
    return _of_rows(run, plane.inside(lasso.polygon))


def _duplicates(run: OpenRun, wanted: bool) -> Mask:
    return np.asarray(_of_rows(run, run.groups.rows) == wanted)


def _children(run: OpenRun, identity: str) -> Mask:
    return _of_rows(run, run.index.children_of(run.row(identity)))


def _parents(run: OpenRun, identity: str) -> Mask:
    return _of_rows(run, run.index.parents_of(run.row(identity)))


def _compare(run: OpenRun, kinds: Sequence[str]) -> Mask:
    found = np.zeros(len(run.index), dtype=bool)
    for kind in kinds:
        found |= run.compared.masks[kind]
    return found


def _cut(run: OpenRun, cut: CutFilter) -> Mask:
    decided = run.cut(cut)
    return _of_rows(run, decided.come if cut.which == "come" else decided.go)


MASKS: dict[str, Callable[[OpenRun, Any], Mask]] = {
    **{name: _coded(name) for name in ("label", "origin", "stage", "by", "reason", "split", "outcome")},
    "kept": _kept,
    "hidden": _hidden,
    "scores": _scores,
    "has": _has,
    "without": _without,
    "verdict": _verdict,
    "reviewed": _reviewed,
    "marked": _marked,
    "noted": _noted,
    "who": _who,
    "ids": _ids,
    "lasso": _lasso,
    "duplicates": _duplicates,
    "children": _children,
    "parents": _parents,
    "compare": _compare,
    "cut": _cut,
}
"""What each field of `Filters` lets pass."""
