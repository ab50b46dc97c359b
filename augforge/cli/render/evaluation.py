"""How an evaluation looks in a terminal: one table of arms, one of measures. The rest is in the file and the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from augforge.cli.render import base as render
from augforge.cli.render import dry
from augforge.cli.render.progress import terminal_progress
from augforge.data.measures import MEASURES, NATS, too_few
from augforge.evaluate.settings import Settings

COLOURS = {"better": "green", "worse": "red", "within noise": "dim"}
WITHOUT_MADE = ("real", "real+classical", "real+random")
"""Arms of which no measure speaks: they hold no made images, or others with every seed."""
TEST = "test images"
FEW = 1000
"""Test images below which it is said how much one of them matters."""


def evaluate_and_show(folder: Path, test: str, settings: Settings, as_json: bool, **options: Any) -> None:
    """Evaluate with a progress display, then show what came out."""
    from augforge.evaluate.evaluation import FILE, evaluate

    if options.pop("dry_run"):
        dry.show_evaluation(folder, settings, as_json)
        return
    started = time.monotonic()
    record = evaluate(folder, test, settings, progress=terminal_progress(), **options)
    if as_json:
        render.print_json(record)
        return
    for run in record.get("runs", [record]):
        show_comparison(run, record["seeds"])
    render.say(said_of_test(record))
    took = f"learner {record['learner']}, {time.monotonic() - started:,.0f} s"
    render.say(
        f"{folder / FILE} has the results by class and of every seed, augforge report {folder} shows them; {took}"
    )


def said_of_test(record: Mapping[str, Any]) -> str:
    """How many images the arms were judged by, and of which splits; where that is one image more or less matters."""
    images, splits = record["tested"]["images"], record["tested"]["splits"]
    of_splits = f" ({', '.join(f'{name} {count:,}' for name, count in splits.items())})" if splits else ""
    each = f"; one image more or less is {100 / images:.2g} points" if images < FEW else ""
    said = f"judged by {images:,} image{'s' if images != 1 else ''} of {record['test']}{of_splits}"
    asked = record.get("queries")
    said += each if asked is None else f", searched with {asked['images']:,} queries of {asked['source']}"
    return ". ".join(filter(None, (said, too_few(images))))


def show_comparison(run: Mapping[str, Any], seeds: int) -> None:
    """The tables of one comparison, and a warning of every arm that harms."""
    if "shots" in run:
        render.say(f"{run['shots']} real images per class")
    if "imbalance" in run:
        render.say(
            f"a long tail of the real images, the largest class {run['imbalance']:g} times as large as the least"
        )
    render.out.print(_arms(run["arms"], run.get("shifts", {})))
    if seeds > 1:
        render.say("against real: percentage points with their 95 % interval, over trainings and over test images")
    if seeds < 2:
        render.say("one seed says nothing of the noise, take --seeds 5")
    _say_what_to_heed(run["arms"][1:])
    if run["metrics"]:
        render.out.print()
        render.out.print(_measures(run))


def _say_what_to_heed(arms: Sequence[Mapping[str, Any]]) -> None:
    """A line for each arm that is worse than real images alone, and for those whose interval has no width."""
    alike = [arm["name"] for arm in arms if _has_no_width(arm["difference"])]
    if alike:
        render.say(f"{', '.join(alike)}: no interval: no test image is judged otherwise than with real images alone")
    for arm in arms:
        if arm["difference"]["verdict"] == "worse":
            lost = -100 * arm["difference"]["mean"]
            render.say(f"{arm['name']}: WORSE than real images alone by {lost:.1f} points: do not add these images")


def _arms(arms: Sequence[Mapping[str, Any]], shifts: Mapping[str, Mapping[str, float]]) -> Table:
    """Measures in percent, differences in points with the 95 % interval that the verdict follows from.

    Shift sets take the place of the second measure, so that it all fits 80 columns.
    """
    first, second = [name for name in MEASURES if name in arms[0]][:2]
    names = ["images", MEASURES[first], "under shift" if shifts else MEASURES[second], "against real"]
    table = Table(box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", min_width=max(len(arm["name"]) for arm in arms))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for arm in arms:
        shifted = [family[arm["name"]] for family in shifts.values()]
        under = _percent(sum(shifted) / len(shifted)) if shifted else _measured(arm, second)
        cells = (f"{arm['images']:,}", _measured(arm, first), under)
        table.add_row(render.literal(arm["name"]), *cells, *_against(arm["difference"]))
    return table


def _measured(arm: Mapping[str, Any], name: str) -> str:
    """A measure of an arm, as people read it."""
    mean = arm[name]["mean"]
    return f"{mean:.3f}" if name in NATS else _percent(mean)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _against(difference: Mapping[str, Any] | None) -> tuple[str, str]:
    """The difference to the first arm with its interval, and the verdict."""
    if difference is None:
        return "", ""
    said = difference["verdict"]
    return render.literal(f"{points(difference['mean'])} {ends(difference)}".strip()), f"[{COLOURS[said]}]{said}[/]"


def points(share: float) -> str:
    """A share in percentage points, with so many digits that its sign is to be seen."""
    value = 100 * share
    return f"{value:+.1f}" if abs(value) >= 0.05 or value == 0 else f"{value:+.1g}"


def _has_no_width(difference: Mapping[str, Any]) -> bool:
    """Whether every training of an arm answered as those of the first arm did."""
    return all(difference[name] == 0 for name in ("mean", "low", "high"))


def ends(difference: Mapping[str, Any]) -> str:
    """The interval of a difference; nothing where a single seed gives none."""
    if difference["low"] is None:
        return ""
    return f"[{points(difference['low'])}, {points(difference['high'])}]"


def _measures(run: Mapping[str, Any]) -> Table:
    """One row for each measure of the generated images, one column for each arm that has any and for the test set."""
    made = [arm["name"] for arm in run["arms"] if arm["name"] not in WITHOUT_MADE]
    metrics = run["metrics"]
    names = [name for name in metrics if " " not in name]
    tested = any(name.endswith(f" of {TEST}") for name in metrics)
    columns = [*made, TEST] if tested else made
    heads = map(render.right, map(render.literal, columns))
    table = Table("of the generated images", *heads, box=None, pad_edge=False)
    for name in names:
        own = {f"{name} of {made[-1]}": metrics[name]} if made else {}
        cells = [{**own, **metrics}.get(f"{name} of {column}") for column in columns]
        table.add_row(render.literal(name), *map(_cell, cells))
    return table


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
