"""Which images filters and selectors look at where the recipe leaves it open (`on: auto`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

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
    return "synthetic" in ledger.rows.column("origin").unique().to_pylist()


def looked_at(stage: Stage, ledger: Ledger) -> Indices:
    """The kept samples that a stage looks at."""
    return ledger.visible(on_of(stage, has_synthetic(ledger)))


def said(title: str, stage: Stage, ledger: Ledger) -> str:
    """The first line of a stage whose `on` was left open, once it is settled: what it looks at, and what it leaves."""
    real, made = len(ledger.visible("real")), len(ledger.visible("synthetic"))
    verb = "chosen from" if isinstance(stage, Selector) else "judged"
    match on_of(stage, synthetic=False):
        case "all":
            return f"{title}: no synthetic images: all {real:,} real images are {verb}"
        case "real":
            return f"{title}: the {real:,} real images are {verb}; {made:,} synthetic ones are left alone"
        case _:
            return f"{title}: {made:,} synthetic images are {verb}; {real:,} real ones are left alone (on: all)"
