"""Decide a filter again, with other options, over the scores that the run has stored: measured once, decided often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.texts import TextView
from augforge.errors import AugforgeError
from augforge.recipe import Recipe
from augforge.recipe.build import build_stage
from augforge.recipe.looked_at import settled
from augforge.stages.filter import Filter
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer
from augforge.view.index import Index
from augforge.view.people import People
from augforge.view.refusals import bad_request, not_found
from augforge.view.reviewed import Reviewed
from augforge.view.spec import CutAsked

RULES = (("outliers",), ("keep",), ("min", "max"), ("mean-minus-std",))
"""The options of a filter that are a rule, of which it has one."""
NEVER = frozenset({"on"})
"""Options that decide, and say which images are measured, too."""

Rows = NDArray[np.int64]
Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a filter saw: `rows` (m,) with a score, how many had none, and which of `rows` (m,) it lets stay now."""

    rows: Rows
    unscored: int
    was: NDArray[np.bool_]

    def among(self, chosen: NDArray[np.bool_]) -> Seen:
        """The `chosen` (m,) of the rows."""
        return Seen(self.rows[chosen], self.unscored, self.was[chosen])


@dataclass(frozen=True, slots=True)
class Cut:
    """A filter decided again: of what it saw (m,) who stays; the rows that come back, and those that go.

    Left out are `others`, as many, about which people decide after it.
    """

    seen: Seen
    stays: NDArray[np.bool_]
    come: Rows
    go: Rows
    others: int


class Filtering:
    """The filters of a run that can be decided again; `beside` and `open_` as of `People`."""

    def __init__(self, index: Index, recipe: Recipe, beside: Path, open_: Reviewed) -> None:
        self._index, self.recipe = index, recipe
        self.titles = recipe.titles()
        synthetic = index.column("origin") == index.code("origin", "synthetic")
        own = np.array([title in self.titles for title in index.values["stage"]] + [False], dtype=bool)
        brought = bool((synthetic & ~own[index.column("stage")]).any())
        self.stages: dict[str, Stage] = dict(zip(self.titles, settled(recipe.stages, brought), strict=True))
        self.people = People(index, self.stages, beside, open_)
        self._off: dict[str, int] = {}

    def why_not(self, title: str) -> str:
        """Why a stage cannot be decided again here; "" where it can."""
        stage = self.stages[title]
        if not isinstance(stage, Filter):
            return "it is no filter by a score"
        if stage.primary_measure not in self._index.scores:
            return f"the run has no score {stage.primary_measure!r}"
        return ""

    def filter(self, title: str) -> Filter:
        """The filter called `title`, with its present options.

        Raises:
            Refusal: there is none, or it cannot be decided again.
        """
        if title not in self.stages:
            raise not_found(f"the recipe has no stage {title!r}", "its stages are " + ", ".join(self.titles))
        stage = self.stages[title]
        if (why := self.why_not(title)) or not isinstance(stage, Filter):
            raise bad_request(f"{title} cannot be decided again here: {why}")
        return stage

    def options(self, title: str) -> dict[str, Any]:
        """The options by which a filter decides, by their names in a recipe."""
        stage = self.filter(title)
        names = stage.decision_options - NEVER
        return dict(stage.model_dump(mode="json", by_alias=True, include=set(names)))

    def changed(self, asked: CutAsked) -> Filter:
        """The filter with the options that are asked for; a rule takes the place of another one.

        Raises:
            Refusal: an option does not decide.
            RecipeError: an option cannot be so.
        """
        stage, free = self.filter(asked.stage), self.options(asked.stage)
        for name in asked.options:
            if name not in free:
                why = f"{asked.stage}: {name!r} is none of the options that decide"
                raise bad_request(why, "they are " + ", ".join(sorted(free)))
        options = with_rule(stage.options(), asked.options)
        given = {name: value for name, value in options.items() if value is not None}
        trained = {each.called: each.task for each in self.recipe.stages if isinstance(each, Trainer)}
        built = build_stage(stage.verb, stage.name, given, trained)
        if not isinstance(built, Filter):
            raise bad_request(f"{asked.stage} is no filter")
        return built

    def seen(self, title: str) -> Seen:
        """What the filter called `title` looked at and could score.

        What was dropped before it, or came after it, was not seen.
        """
        index, stage, place = self._index, self.filter(title), self.titles.index(title)
        order = {name: number for number, name in enumerate(self.titles)}
        end = len(self.titles)
        made = np.array([order.get(name, -1) for name in index.values["stage"]] + [-1])[index.column("stage")]
        by = np.array([end if name == "write" else order.get(name, -1) for name in index.values["by"]] + [end])
        kept, dropped = index.column("kept").copy(), by[index.column("by")]
        for back in self.people.overruled:
            if back.place > place:  # as it was before
                kept[back.rows], dropped[back.rows] = False, back.by
        there = (made < place) & (kept | (dropped >= place))
        on = getattr(stage, "on", "all")
        if on != "all":
            there &= index.column("origin") == index.code("origin", on)
        rows = np.flatnonzero(there)
        scored = np.isfinite(index.score(stage.primary_measure)[rows])
        rows = rows[scored]
        return Seen(rows, int((~scored).sum()), dropped[rows] != place)

    def cut(self, asked: CutAsked) -> Cut:
        """Decide a filter again with other options; errors as `changed` and `People.decide`."""
        changed, seen = self.changed(asked), self.seen(asked.stage)
        if changed.primary_measure not in self._index.scores:
            raise bad_request(f"the run has no score {changed.primary_measure!r}")
        free = ~self.people.decide(self.titles.index(asked.stage))[seen.rows]
        stays, left = self._decided(changed, seen.rows)[free], seen.among(free)
        come, go = left.rows[stays & ~left.was], left.rows[~stays & left.was]
        return Cut(left, stays, come, go, int((~free).sum()))

    def off(self, title: str) -> int:
        """How many verdicts the present options would give otherwise than the run did; 0 means a preview is exact."""
        if title not in self._off:
            seen = self.seen(title)
            self._off[title] = int((self._decided(self.filter(title), seen.rows) != seen.was).sum())
        return self._off[title]

    def _decided(self, stage: Filter, rows: Rows) -> NDArray[np.bool_]:
        """(m,) who stays, as the engine decides it."""
        if not len(rows):
            return np.zeros(0, dtype=bool)
        index, whole = self._index, stage.scope == "all"
        scores = {name: index.score(name)[rows] for name in stage.measures if name in index.scores}
        groups = np.zeros(len(rows), dtype=np.int64) if whole else index.column("filed")[rows].astype(np.int64)
        stays, _ = stage.decide(scores, TextView(index.column("id")[rows]), groups, "all" if whole else "its class")
        return np.asarray(stays)


def with_rule(options: Options, asked: Options) -> dict[str, Any]:
    """The options with those that are asked for; where these have a rule, without those of other rules."""
    mine = [rule for rule in RULES if any(asked.get(name) is not None for name in rule)]
    others = [name for rule in RULES if mine and rule not in mine for name in rule]
    return {**options, **dict.fromkeys(others), **asked}


def described(filtering: Filtering, title: str) -> dict[str, Any] | None:
    """What the page needs to move the cut of a filter; None of a stage that cannot be decided again."""
    if filtering.why_not(title):
        return None
    stage = filtering.filter(title)
    rule = stage.rule()
    given = {"outliers": rule.outliers, "keep": rule.keep, "min": rule.minimum, "max": rule.maximum}
    given["mean-minus-std"] = rule.deviations
    set_ = {name: value for name, value in given.items() if value is not None}
    try:
        off = filtering.off(title)
    except AugforgeError as error:  # a filter whose options go with another measure
        raise bad_request(error.message, error.hint) from error
    return {
        "measure": stage.primary_measure,
        "lower_is_better": stage.primary_measure in stage.lower_is_better,
        "options": filtering.options(title),
        "rule": set_,
        "exact": off == 0,
        "off": off,
    }
