"""How an evaluation looks in a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from augforge.cli.render import base as render
from augforge.cli.render.progress import terminal_progress
from augforge.evaluate.settings import Settings
from augforge.progress import Progress

MOST_CLASSES = 20
COLOURS = {"better": "green", "worse": "red", "within noise": "dim"}


def evaluate_and_show(folder: Path, test: str, settings: Settings, as_json: bool, **options: Any) -> None:
    """Evaluate with a progress display, then show what came out."""
    from augforge.evaluate.evaluation import FILE, evaluate

    started = time.monotonic()
    progress: Progress = terminal_progress()
    record = evaluate(folder, test, settings, progress=progress, **options)
    if as_json:
        render.print_json(record)
        return
    for run in record.get("runs", [record]):
        show_comparison(run, record["seeds"])
    render.say(f"{folder / FILE}; learner {record['learner']}, {time.monotonic() - started:,.0f} s")


def show_comparison(run: Mapping[str, Any], seeds: int) -> None:
    """The tables of one comparison, and a sentence on every arm."""
    if "shots" in run:
        render.say(f"{run['shots']} real images per class")
    if "imbalance" in run:
        render.say(
            f"a long tail of the real images, the largest class {run['imbalance']:g} times as large as the least"
        )
    render.out.print(_arms(run["arms"]))
    for arm in run["arms"][1:]:
        render.say(f"  {arm['name']}: {sentence(arm['difference'], seeds)}")
    render.out.print(_classes(run))
    if run.get("shifts"):
        render.out.print(_shifts(run["shifts"]))
    if run["metrics"]:
        render.out.print(_metrics(run["metrics"]))


def sentence(difference: Mapping[str, Any], seeds: int) -> str:
    """What a difference to real images alone says, in words."""
    points = f"{100 * difference['mean']:+.1f} points"
    if seeds < 2:
        return f"{points}; one seed says nothing of the noise, take --seeds 5"
    if difference["verdict"] == "within noise":
        return f"no difference that can be told from noise ({points})"
    if difference["verdict"] == "worse":
        return f"WORSE than real images alone by {-100 * difference['mean']:.1f} points: do not add these images"
    return f"better than real images alone by {100 * difference['mean']:.1f} points"


def _arms(arms: Sequence[Mapping[str, Any]]) -> Table:
    names = ("images", "accuracy", "macro-F1", "against real")
    table = Table("arm", *map(render.right, names), "verdict", box=None, pad_edge=False)
    for arm in arms:
        difference = arm["difference"]
        said = "" if difference is None else str(difference["verdict"])
        colour = COLOURS.get(said, "default")
        table.add_row(
            escape(arm["name"]),
            f"{arm['images']:,}",
            _percent(arm["accuracy"]),
            _percent(arm["macro-f1"]),
            "" if difference is None else _points(difference),
            f"[{colour}]{said}[/]" if said else "",
        )
    return table


def _percent(value: Mapping[str, Any]) -> str:
    spread = "" if value["low"] is None else f" ± {100 * (value['high'] - value['mean']):.1f}"
    return f"{100 * value['mean']:.1f}{spread} %"


def _points(difference: Mapping[str, Any]) -> str:
    spread = "" if difference["low"] is None else f" ± {100 * (difference['high'] - difference['mean']):.1f}"
    return f"{100 * difference['mean']:+.1f}{spread}"


def _classes(run: Mapping[str, Any]) -> Table:
    """Accuracy per class in percent, rare classes first."""
    arms = run["arms"]
    names = ["images", *(arm["name"].removeprefix("real") or "real" for arm in arms)]
    table = Table("class", *map(render.right, map(escape, names)), box=None, pad_edge=False)
    shown = [label for label in run["classes"] if label in arms[0]["per-class"]]
    for label in shown[:MOST_CLASSES]:
        cells = (f"{100 * arm['per-class'][label]['mean']:.1f}" for arm in arms)
        table.add_row(escape(label), f"{run['counts'][label]:,}", *cells)
    if len(shown) > MOST_CLASSES:
        table.add_row(f"and {len(shown) - MOST_CLASSES} more (--json shows all)", *("" for _ in names))
    return table


def _shifts(shifts: Mapping[str, Mapping[str, float]]) -> Table:
    """Accuracy per family of shifts in percent."""
    names = list(next(iter(shifts.values())))
    heads = [name.removeprefix("real") or "real" for name in names]
    table = Table("shift", *map(render.right, map(escape, heads)), box=None, pad_edge=False)
    for family, values in shifts.items():
        table.add_row(escape(family), *(f"{100 * values[name]:.1f}" for name in names))
    return table


def _metrics(metrics: Mapping[str, float]) -> Table:
    table = Table("of the images themselves", render.right(""), box=None, pad_edge=False)
    for name, value in list(metrics.items()):
        table.add_row(escape(name), f"{value:.4g}")
    return table
