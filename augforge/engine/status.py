"""How far a run is, while it runs or after it was killed: nothing is locked, written, hashed or loaded for it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from augforge.data.files import read_sealed
from augforge.data.holder import Holder, holder_of
from augforge.data.store import MARKS
from augforge.engine.noted import NAME, read_note
from augforge.errors import StoreError
from augforge.remote.bucket import Bucket
from augforge.remote.lease import NAME as LEASE
from augforge.remote.lease import held
from augforge.remote.places import file_to_read, opened_anew
from augforge.remote.urls import is_remote

State = Literal["finished", "running", "stopped", "unknown"]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage. Of a generator: how many of its planned images are made; None before it is planned, and of others."""

    stage: str
    state: Literal["done", "begun", "to do"]
    made: int | None = None
    planned: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What the run was about when it last said so: `done` of `total` things, `rate` of them a second."""

    title: str
    done: int
    total: int
    unit: str
    rate: float | None
    seconds_left: float | None
    note: str = ""
    """How it goes, such as with how many workers."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is.

    `state` is "unknown" where another machine held the folder last: whether it still does cannot be told from here.
    `kept` and `dropped` are those of the stages that are done, `seconds_ago` is how old the newest note of the run is,
    `stopped_by` is the message that ended it, `hint` what it says to do, and `command` goes on with it; each is None or
    "" if it is not known. `refused` is whether the same command must end the same way before something is changed.
    """

    folder: str
    state: State
    holder: Holder | None
    stages: Sequence[StageStatus]
    step: Step | None
    kept: int | None
    dropped: int | None
    seconds_ago: float | None
    stopped_by: str
    command: str
    engine: str = "local"
    hint: str = ""
    refused: bool = False

    @property
    def stages_done(self) -> int:
        """How many stages are done."""
        return sum(stage.state == "done" for stage in self.stages)

    @property
    def made(self) -> int:
        """How many of the planned images are made, in all stages that are planned."""
        return sum(stage.made or 0 for stage in self.stages)

    @property
    def planned(self) -> int:
        """How many images are to be made in all stages that are planned."""
        return sum(stage.planned or 0 for stage in self.stages)


def status(folder: str | os.PathLike[str]) -> Status:
    """How far the run in `folder`, or at a URL, is; one that is being written is read as it stands.

    Raises:
        StoreError: it is no run folder, or the note in it is damaged.
    """
    place = opened_anew(os.fspath(folder))
    if not any((place / mark).is_file() for mark in (*MARKS, LEASE)):
        raise StoreError(f"{place} is no run folder: nothing has run into it", "give the DIR of --out")
    try:
        holder = _lease_holder(str(place)) if is_remote(str(place)) else holder_of(place)
        return _status(place, read_note(place), holder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{place / NAME} is damaged", "it is written anew by the next run") from error


def _status(folder: Path, note: Mapping[str, Any], holder: Holder | None) -> Status:
    summary = _summary(folder)
    state = _state(holder, summary is not None)
    finished = state == "finished"
    counts = summary if finished and summary is not None else note
    at = note.get("at")
    return Status(
        folder=str(folder),
        state=state,
        holder=holder,
        stages=_stages(folder, note, finished),
        step=None if finished else _step(note.get("bar")),
        kept=counts.get("kept"),
        dropped=counts.get("dropped"),
        seconds_ago=None if at is None else max(0.0, time.time() - at),
        stopped_by=note.get("stopped", "") if state == "stopped" else "",
        command=_command(note),
        engine=note.get("engine", "local"),
        hint=note.get("hint", "") if state == "stopped" else "",
        refused=bool(note.get("refused")) and state == "stopped",
    )


def _lease_holder(url: str) -> Holder | None:
    """Who holds a run at a URL, or held it last."""
    lease = held(Bucket(url))
    return None if lease is None else Holder(lease.process, lease.machine, lease.left > 0)


def _summary(folder: Path) -> Mapping[str, Any] | None:
    """What the last run that was finished says of its result; None while a run has not come so far."""
    with suppress(StoreError):  # a damaged one counts for nothing, and the next run writes it again
        found: Mapping[str, Any] | None = (read_sealed(folder / "run.json") or {}).get("summary")
        return found
    return None


def _state(holder: Holder | None, finished: bool) -> State:
    if holder is not None and holder.alive:
        return "running"
    if finished:
        return "finished"
    return "unknown" if holder is not None and holder.alive is None else "stopped"


def _stages(folder: Path, note: Mapping[str, Any], finished: bool) -> list[StageStatus]:
    titles, now = note.get("titles", []), note.get("stage", "")
    after = now not in titles and now != ""  # the result is being written
    place = len(titles) if finished or after else titles.index(now) if now in titles else -1
    found = []
    for number, title in enumerate(titles):
        state: Literal["done", "begun", "to do"] = "done" if number < place else "begun" if number == place else "to do"
        made, planned = _made(folder, note.get("planned", {}).get(title))
        found.append(StageStatus(title, state, made, planned))
    return found


def _made(folder: Path, plan: Sequence[Any] | None) -> tuple[int | None, int | None]:
    """How many images of a plan are there, by the parts as they are now, and how many there are to be."""
    if plan is None:
        return None, None
    name, planned, todo, rows = plan
    new = _rows(folder / "parts" / Path(name).name) - rows
    return planned - todo + min(max(new, 0), todo), planned


def _rows(folder: Path) -> int:
    """The rows of all parts in a folder; little more than their footers is read."""
    count = 0
    for path in folder.glob("*.arrow"):
        with suppress(OSError, pa.ArrowException):  # it has gone, or is damaged
            file = file_to_read(path) if is_remote(str(path)) else pa.memory_map(str(path))
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=[0]))
            count += sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
    return count


def _step(bar: Mapping[str, Any] | None) -> Step | None:
    if bar is None:
        return None
    spent, done, total = bar["at"] - bar["began"], bar["done"], bar["total"]
    rate = done / spent if done and spent > 0 else None
    left = None if rate is None else (total - done) / rate
    return Step(bar["title"], done, total, bar["unit"], rate, left, bar.get("note", ""))


def _command(note: Mapping[str, Any]) -> str:
    """What goes on with the run, from the folder in which one is; "" if the run was not begun by a command."""
    words, place = note.get("command"), note.get("cwd", "")
    if not words:
        return ""
    there = "" if place == str(Path.cwd()) else f"cd {shlex.quote(place)} && "
    return there + shlex.join(words)
