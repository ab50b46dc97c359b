"""What the filters of a recipe say of the images of the last run: rules applied anew to the scores that it stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from augforge.data.record import LEDGER
from augforge.data.texts import TextView
from augforge.provenance.chain import plain_recipe
from augforge.recipe import Recipe
from augforge.recipe.acceptance import ENOUGH
from augforge.stages.filter import Filter
from augforge.stages.stage import Stage, kebab

COLUMNS = ["id", "label", "origin", "stage", "dropped", "dropped_by", "scores"]
Plain = Mapping[str, Any]
Mask = NDArray[np.bool_]


SAID = (
    "What passed so far is what the filters of the last run let pass: they have changed since, and not all scores are "
    "there to decide again."
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The verdicts on the images of the last run by the recipe as it is now.

    `rejected` are the ids of those that a filter or their generator drops; None: as the ledger has it. `outdated` says
    that the filters have changed, and the verdicts are those of the last run nevertheless.
    """

    rejected: Collection[str] | None = None
    outdated: bool = False


class Undecided(Exception):
    """An image has no score for a filter that looks at it now."""


def decided(recipe: Recipe, stages: Mapping[str, Stage], folder: Path) -> Decided:
    """Decide about the images of the last run into `folder` by the rules of `recipe`; `stages` are its own, settled."""
    before, now = _stages(plain_recipe(folder)), _stages(recipe.plain())
    if not (folder / LEDGER).is_file() or not before or _filters(before) == _filters(now):
        return Decided()
    if not _only_decisions(before, now, list(stages.values())):
        return Decided(outdated=True)
    first = next(place for place, stage in enumerate(now) if stage != before[place])
    try:
        return Decided(_rejected(folder, stages, first))
    except Undecided:
        return Decided(outdated=True)


def _rejected(folder: Path, stages: Mapping[str, Stage], first: int) -> Collection[str]:
    """The ids of the images that are dropped if the filters from the place `first` on decide again."""
    rows = _Rows(pq.read_table(folder / LEDGER, columns=COLUMNS), list(stages))
    filters = {place: stage for place, stage in enumerate(stages.values()) if stage.verb == Filter.verb}
    for place, stage in filters.items():
        if place >= first:
            rows.decide(place, stage)
    return rows.rejected(list(filters))


def _filters(stages: list[Plain]) -> list[Plain]:
    return [stage for stage in stages if Filter.verb in stage]


def _stages(plain: Plain | None) -> list[Plain]:
    listed = None if plain is None else plain.get("stages")
    return [stage for stage in listed if isinstance(stage, Mapping)] if isinstance(listed, list) else []


def _only_decisions(before: list[Plain], now: list[Plain], stages: list[Stage]) -> bool:
    """Whether the filters differ in nothing but options by which they decide, in recipes of the same stages."""
    if [_name(stage) for stage in before] != [_name(stage) for stage in now]:
        return False
    for one, other, stage in zip(before, now, stages, strict=True):
        free = set(map(kebab, stage.decision_options)) if isinstance(stage, Filter) else set()
        if Filter.verb in other and {key for key in {*one, *other} if one.get(key) != other.get(key)} - free:
            return False
    return True


def _name(stage: Plain) -> tuple[str, Any]:
    verb = next(iter(stage), "")
    return str(verb), stage.get(verb)


class _Rows:
    """The rows of a ledger: for each its number of the stage that `made` it, of the one by which it was `gone` in the
    last run, and `leaves` now; -1 is before all stages, the number of all stages after them."""

    def __init__(self, table: pa.Table, titles: list[str]) -> None:
        self._table, self._scores = table, table.column("scores").combine_chunks()
        self._end, order = len(titles), {title: number for number, title in enumerate(titles)}
        self._made = np.array([order.get(title, -1) for title in table.column("stage").to_pylist()], dtype=np.int64)
        by = zip(table.column("dropped").to_pylist(), table.column("dropped_by").to_pylist(), strict=True)
        after = (None, "write")
        self._gone = np.array(
            [self._end if name in after or why == ENOUGH else order.get(name, -1) for why, name in by], dtype=np.int64
        )
        self._leaves = self._gone.copy()

    def decide(self, place: int, stage: Stage) -> None:
        """Let the filter at a place decide about all that come to it now."""
        seen = (self._made < place) & (self._leaves >= place)
        if (on := getattr(stage, "on", "all")) != "all":
            seen &= pc.equal(self._table.column("origin"), on).to_numpy(zero_copy_only=False)
        if not isinstance(stage, Filter):
            if (seen & (self._gone < place)).any():
                raise Undecided
            return
        rows = np.flatnonzero(seen)
        stays = self._stays(stage, rows, self._gone[rows] == place)
        later = np.where(self._gone[rows] > place, self._gone[rows], self._end)
        self._leaves[rows] = np.where(stays, later, place)

    def _stays(self, stage: Filter, rows: NDArray[np.int64], went: Mask) -> Mask:
        """(n,) who stays; `went` (n,) are those whom the same filter dropped in the last run, with a score or not."""
        scores = {name: self._score(name)[rows] for name in stage.measures}
        if (np.isnan(scores[stage.primary_measure]) & ~went).any():
            raise Undecided
        groups = np.zeros(len(rows), dtype=np.int64) if stage.scope == "all" else self._classes(rows)
        stays, _ = stage.decide(scores, TextView(self._ids(rows)), groups, "")
        return np.asarray(stays)

    def _score(self, name: str) -> NDArray[np.float64]:
        found = pc.map_lookup(self._scores, pa.scalar(name), "first").to_numpy(zero_copy_only=False)
        return np.asarray(found, dtype=np.float64)

    def _classes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) the class of each; what has several labels, or none, cannot be told apart here."""
        labels = self._table.column("label").take(pa.array(rows))
        if labels.null_count:
            raise Undecided
        codes: NDArray[np.int64] = np.unique(labels.to_numpy(), return_inverse=True)[1].astype(np.int64)
        return codes

    def _ids(self, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
        ids = self._table.column("id").take(pa.array(rows)).to_pylist()
        return np.array(ids, dtype=np.bytes_)

    def rejected(self, filters: list[int]) -> frozenset[str]:
        """The ids of the rows that a filter or the generator of an image drops."""
        gone = np.isin(self._leaves, filters) | ((self._leaves == self._made) & (self._made >= 0))
        return frozenset(self._table.column("id").take(pa.array(np.flatnonzero(gone))).to_pylist())
