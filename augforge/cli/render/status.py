"""How the status of a run looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from augforge.cli.render.base import literal, out, print_json, right, say
from augforge.progress import clock

if TYPE_CHECKING:
    from augforge.engine.status import Status, Step


def show_status(status: Status, as_json: bool) -> None:
    """A line for the run, a table of its stages, and how to go on."""
    if as_json:
        totals = {"stages_done": status.stages_done, "made": status.made, "planned": status.planned}
        print_json({**asdict(status), **totals})
        return
    for line in _lines(status):
        say(line)
    if status.stages:
        out.print(_stage_table(status))
    if status.command and status.state != "finished":
        say(f"{_to_go_on(status)}: {status.command}")
    elif status.state == "stopped":
        say(f"{_to_go_on(status)}: run the same recipe into the same folder again")


def _to_go_on(status: Status) -> str:
    """What to do before the same command: a run that was refused would be refused again."""
    if status.refused:
        return "mend what it says, then"
    return "to go on if it is stopped" if status.state == "running" else "to go on"


def _lines(status: Status) -> Iterator[str]:
    yield f"{status.folder}: {_state(status)}"
    if status.stopped_by:
        yield f"stopped by: {status.stopped_by}"
    if status.hint:
        yield f"  {status.hint}"
    if status.engine != "local":
        yield f"engine: {status.engine}"
    if status.stages:
        yield f"stages: {status.stages_done} of {len(status.stages)} done"
    if status.planned:
        yield f"images stored: {status.made:,} of {status.planned:,} planned"
    if status.kept is not None:
        yield f"images: {status.kept:,} kept, {status.dropped or 0:,} dropped{_so_far(status)}"
    if status.step is not None:
        yield _step(status.step, running=status.state == "running", planned=_planned(status, status.step))


def _planned(status: Status, step: Step) -> int | None:
    """How many images the generator whose images `step` counts is to make in all; None of any other step."""
    return next((row.planned for row in status.stages if row.stage.endswith(f"-generate-{step.title}")), None)


def _step(step: Step, running: bool, planned: int | None) -> str:
    """What was done when it was noted last: of a generator the images made, some of which may not be stored yet."""
    missing = planned is not None and step.total < planned
    done = f"{step.done:,} of {f'the {step.total:,} missing' if missing else f'{step.total:,}'} {step.unit}"
    made = " made" if planned is not None else ""
    rate = "" if step.rate is None else f", {step.rate:,.1f}/s"
    left = "" if step.seconds_left is None or not running else f", left {clock(step.seconds_left)}"
    how = f", {step.note}" if step.note else ""
    lost = "; those that are not stored are made again" if made and not running else ""
    return f"{step.title}: {done}{made}{rate}{left}{how}{lost}"


def _so_far(status: Status) -> str:
    return "" if status.state == "finished" else " so far"


def _state(status: Status) -> str:
    """Whether it runs, by whom, and how old that news is."""
    age = "" if status.seconds_ago is None else f"; the last news is {clock(status.seconds_ago)} old"
    holder = status.holder
    if status.state == "finished" or holder is None:
        return status.state
    if status.state == "running":
        return f"running in process {holder.process}{age}"
    if status.state == "unknown":
        return f"last held by process {holder.process} on {holder.machine}, which cannot be asked from here{age}"
    return f"stopped: no process holds the folder{age}"


def _stage_table(status: Status) -> Table:
    table = Table("stage", "", right("made"), right("planned"), box=None, pad_edge=False)
    for row in status.stages:
        numbers = ("" if count is None else f"{count:,}" for count in (row.made, row.planned))
        table.add_row(literal(row.stage), row.state, *numbers)
    return table
