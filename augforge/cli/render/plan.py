"""How a plan looks in a terminal: stages, classes, and what each generator is asked for and will likely yield."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from augforge.cli.render.base import literal, more, out, print_json, right, say

if TYPE_CHECKING:
    from augforge.engine.estimate import ClassOutlook, Outlook
    from augforge.engine.plan import PlanRow


def show_plan(rows: Sequence[PlanRow], as_json: bool) -> None:
    """A table of what a run would do."""
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    for sentence in rows[0].told:
        say(sentence)
    out.print(_stage_table(rows))
    out.print()
    out.print(_class_table(rows))
    for row in rows:
        if row.outlook is not None:
            _show_outlook(row.stage, row.outlook)


def _stage_table(rows: Sequence[PlanRow]) -> Table:
    table = Table("stage", *map(right, ("in", "out", "to compute", "reused")), box=None, pad_edge=False)
    for row in rows:
        most = "" if row.exact else "~"
        table.add_row(row.stage, f"{row.rows_in:,}", f"{most}{row.rows_out:,}", f"{row.todo:,}", f"{row.reused:,}")
    return table


def _class_table(rows: Sequence[PlanRow], most: int = 40) -> Table:
    """Images per class after each stage, stages by their number; the first `most` classes."""
    table = Table("class", *(right(row.stage.partition("-")[0]) for row in rows), box=None, pad_edge=False)
    classes = list(rows[-1].classes)
    for name in classes[:most]:
        table.add_row(literal(name), *(f"{row.classes[name]:,}" for row in rows))
    if len(classes) > most:
        table.add_row(more(len(classes) - most), *("" for _ in rows))
    return table


def _show_outlook(title: str, outlook: Outlook, most: int = 40) -> None:
    """A generator's classes, what its images cost, and what to think of."""
    names = ("real", "wanted", "ratio", "passed so far", "will pass", "to make", "time")
    table = Table("class", *map(right, names), box=None, pad_edge=False)
    for one in outlook.classes[:most]:
        table.add_row(literal(one.label or "(none)"), *_cells(one))
    if len(outlook.classes) > most:
        table.add_row(more(len(outlook.classes) - most), *("" for _ in range(7)))
    out.print()
    say(f"{title}: new images{', counted when they pass the filters' if outlook.until else ''}")
    out.print(table)
    say(_cost(outlook))
    for warning in outlook.warnings:
        say(warning)


def _cells(one: ClassOutlook) -> list[str]:
    so_far = f"{one.accepted:,} of {one.made:,}" if one.made else ""
    return [
        f"{one.real:,}",
        f"{one.target:,}",
        "" if one.ratio is None else f"{one.ratio:.1f}",
        so_far,
        "" if one.expected is None else f"{one.expected:,.0f}",
        f"{one.todo:,}",
        "" if one.seconds is None else _duration(one.seconds),
    ]


def _cost(outlook: Outlook) -> str:
    """The time of all that is to be made, by the measured rate."""
    if outlook.images_per_second is None or outlook.seconds is None or outlook.device_hours is None:
        return "Time: not measured. It is known after a few images (--limit, or a small amount) were made into --out."
    unit = "GPU-hours" if outlook.device == "cuda" else "CPU-hours"
    hours = f"{outlook.device_hours:,.2f} {unit}"
    return f"Time: {_duration(outlook.seconds)}, {hours}, at {outlook.images_per_second:,.3g} images/s as measured."


def _duration(seconds: float) -> str:
    """A time in the largest unit of which there are at least two."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"
