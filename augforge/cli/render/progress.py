"""Bars on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars
from rich.text import Text

from augforge.cli.render.base import QUIET, VERBOSE, err, level, literal
from augforge.progress import Bar, LineProgress, Progress


class Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        """The rate of a task, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="cyan")


class TerminalProgress(Progress):
    """A bar for each stage, on stderr."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """Show a bar with a rate and the time left."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichBars(*columns, console=err) as bars:
            yield _TerminalBar(bars, bars.add_task(literal(title), total=total, note=""))

    def begin(self, text: str) -> None:
        """Print it on stderr, not dim."""
        err.print(literal(text), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        err.print(literal(text), style="dim", soft_wrap=True)


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

    def begin(self, text: str) -> None:
        """What it begins with needs no time."""
        self._shown.begin(text)

    def say(self, text: str) -> None:
        """A remark with its time."""
        self._shown.say(f"[{time.monotonic() - self._start:.1f} s] {text}")


def terminal_progress() -> Progress:
    """Bars in a terminal, plain lines elsewhere; with times where much is to be said, nothing where little is."""
    if level.name == QUIET:
        return Progress()
    return TimedProgress(_shown()) if level.name == VERBOSE else _shown()


def _shown() -> Progress:
    return TerminalProgress() if err.is_terminal else LineProgress()
