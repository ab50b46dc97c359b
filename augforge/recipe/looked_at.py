"""Which images filters and selectors look at where the recipe leaves it open (`on: auto`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import On
from augforge.stages.generator import Generator
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage


def left_open(stage: Stage) -> bool:
    """Whether the stage's option `on` is auto."""
    return getattr(stage, "on", None) == "auto"


def settled(stages: Sequence[Stage], synthetic: bool) -> list[Stage]:
    """The stages with `on: auto` replaced by what it means; `synthetic`: whether the sources hold generated images.

    From the first generator on a run is taken to have synthetic images, even if none came to be: otherwise a filter
    that is meant for them would throw out real ones in the very run in which every class had enough.
    """
    found = []
    for stage in stages:
        found.append(stage.model_copy(update={"on": on_of(stage, synthetic)}) if left_open(stage) else stage)
        synthetic = synthetic or isinstance(stage, Generator)
    return found


def on_of(stage: Stage, synthetic: bool) -> On:
    """Which images a stage looks at, where there are synthetic ones before it or not.

    A selector that reads a column of the sources looks at real images: no generated one has such a column.
    """
    if not left_open(stage):
        return cast("On", getattr(stage, "on", "all"))
    if not synthetic:
        return "all"
    columns = isinstance(stage, Selector) and set(stage.needs) & set(stage.column_options())
    return "real" if columns else "synthetic"


def has_synthetic(ledger: Ledger) -> bool:
    """Whether a ledger has generated images, dropped ones included."""
    return bool(ledger.coded("origin").equal("synthetic").any())


def looked_at(stage: Stage, ledger: Ledger) -> Indices:
    """The kept samples that a stage looks at.

    A selector leaves the real images of evaluation splits alone, unless there are no others: an image to learn from is
    never left out because an evaluation image stands for it, nor kept because it stands for one.
    """
    seen = ledger.visible(on_of(stage, has_synthetic(ledger)))
    if not isinstance(stage, Selector):
        return seen
    spared = ledger.coded("origin").equal("real", seen) & ledger.in_evaluation(seen)
    return seen if spared.all() else seen[~spared]


def said(title: str, stage: Stage, ledger: Ledger) -> str:
    """The first line of a stage whose `on` was left open, once it is settled: what it looks at, and what it leaves."""
    real, made = len(ledger.visible("real")), len(ledger.visible("synthetic"))
    seen = len(np.intersect1d(looked_at(stage, ledger), ledger.visible("real")))
    spared = f"; {real - seen:,} of evaluation splits are left alone" if seen < real else ""
    verb = "chosen from" if isinstance(stage, Selector) else "judged"
    match on_of(stage, synthetic=False):
        case "all":
            seen_all = "the one real image is" if seen == 1 else f"all {seen:,} real images are"
            return f"{title}: no synthetic images: {seen_all} {verb}{spared}"
        case "real":
            left = _many(made, "synthetic one", "left alone")
            return f"{title}: the {_many(seen, 'real image', verb)}; {left}{spared}"
        case _:
            left = _many(real, "real one", "left alone")
            return f"{title}: {_many(made, 'synthetic image', verb)}; {left} (give `on: all` to include them)"


def _many(count: int, what: str, done: str) -> str:
    return f"{count:,} {what} is {done}" if count == 1 else f"{count:,} {what}s are {done}"
