"""Bars and spinners on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as RichBars
from rich.text import Text

from augforge.cli.render.base import QUIET, VERBOSE, err, level, literal
from augforge.progress import Bar, Headings, LineProgress, Progress, clock, named

BAR = 18
"""Columns of the terminal that a bar takes; the rest of 80 is for what is said beside it."""
LONG = 1.0
"""Seconds of loading after which it is said how long it took."""


class Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        """The rate of a task, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="cyan", no_wrap=True)


class Elapsed(ProgressColumn):
    """How long a task has taken so far."""

    def render(self, task: Task) -> Text:
        """As a clock shows it."""
        return Text(clock((task.finished_time if task.finished else task.elapsed) or 0.0), no_wrap=True)


class Left(ProgressColumn):
    """How long a task will probably still take."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """The label and the time; nothing before a rate is known, or at the end."""
        seconds = None if task.finished else task.time_remaining
        return Text("" if seconds is None else f"left {clock(seconds)}", style="cyan", no_wrap=True)


class TerminalProgress(Headings):
    """A heading for each stage, a bar for each of its steps and a spinner while a model loads, on stderr."""

    _live = False

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """Show a bar with a rate, the time that has passed and the time left."""
        self.begin()
        columns = (
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=BAR),
            MofNCompleteColumn(),
            Rate(),
            Elapsed(),
            Left(),
            TextColumn("{task.fields[note]}"),
        )
        with RichBars(*columns, console=err) as bars, self._shown():
            yield _TerminalBar(bars, bars.add_task(literal(title), total=total, note=""))

    def opening(self, text: str) -> None:
        """Print it on stderr, not dim."""
        err.print(literal(text), soft_wrap=True)

    @contextmanager
    def loading(self, name: str, size: str = "") -> Iterator[None]:
        """Show a spinner with the name and the size of a model and how long it has been loading."""
        what = named(name, size)
        if self._live:  # a terminal shows one thing that moves at a time
            self.say(f"loading {what}")
            yield
            return
        self.begin()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), Elapsed())
        began = time.monotonic()
        with RichBars(*columns, console=err, transient=True) as bars, self._shown():
            bars.add_task(literal(f"loading {what}"), total=None)
            yield
        spent = time.monotonic() - began
        if spent >= LONG:
            self.say(f"loaded {what} in {clock(spent)}")

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        self.begin()
        err.print(literal(text), style="dim", soft_wrap=True)

    def about(self, text: str) -> None:
        """Print it as a remark; it names its stage itself."""
        err.print(literal(text), style="dim", soft_wrap=True)

    def _head(self, text: str) -> None:
        err.print(literal(text), style="bold", soft_wrap=True)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Note that something moves in the terminal meanwhile."""
        self._live = True
        try:
            yield
        finally:
            self._live = False


class _TerminalBar(Bar):
    def __init__(self, bars: RichBars, task: Any) -> None:
        self._bars, self._task = bars, task

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=literal(text))


class TimedProgress(Progress):
    """Remarks with the seconds since the start before them."""

    def __init__(self, shown: Progress) -> None:
        self._shown, self._start = shown, time.monotonic()

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """The bar that is shown."""
        with self._shown.bar(title, total, unit) as bar:
            yield bar

    def opening(self, text: str) -> None:
        """What it begins with needs no time."""
        self._shown.opening(text)

    def plan(self, titles: Sequence[str]) -> None:
        """As what is shown."""
        self._shown.plan(titles)

    def stage(self, title: str) -> None:
        """As what is shown."""
        self._shown.stage(title)

    @contextmanager
    def loading(self, name: str, size: str = "") -> Iterator[None]:
        """As what is shown."""
        with self._shown.loading(name, size):
            yield

    def say(self, text: str) -> None:
        """A remark with its time."""
        self._shown.say(f"[{time.monotonic() - self._start:.1f} s] {text}")


def typed() -> list[str]:
    """The command that was typed; [] where this is run by something else."""
    program = Path(sys.argv[0])
    ours = program.name == "augforge" or (program.name == "__main__.py" and program.parent.name == "augforge")
    return ["augforge", *sys.argv[1:]] if ours else []


def terminal_progress() -> Progress:
    """Bars in a terminal, plain lines elsewhere; with times where much is to be said, nothing where little is."""
    if level.name == QUIET:
        return Progress()
    return TimedProgress(_shown()) if level.name == VERBOSE else _shown()


def _shown() -> Progress:
    return TerminalProgress() if err.is_terminal else LineProgress()
