"""Bars on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars
from rich.text import Text

from augforge.cli.render.base import err, literal
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

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        err.print(literal(text), style="dim", soft_wrap=True)

    def about(self, text: str) -> None:
        """Print it as a remark."""
        self.say(text)


class _TerminalBar(Bar):
    def __init__(self, bars: RichBars, task: Any) -> None:
        self._bars, self._task = bars, task

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=literal(text))


def terminal_progress() -> Progress:
    """Bars in a terminal, plain lines elsewhere."""
    return TerminalProgress() if err.is_terminal else LineProgress()
