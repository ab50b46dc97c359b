"""How the library tells how far it is; silent unless a caller passes something that shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from augforge.printable import printable

LINE_SECONDS = 10.0


def clock(seconds: float) -> str:
    """A time as a clock shows it: `0:12`, `3:07`, `1:02:03`."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bar:
    """Progress of one stage; this one shows nothing."""

    def advance(self, count: int = 1) -> None:
        """`count` more items are done and committed."""

    def note(self, text: str) -> None:
        """How it goes, in a few words that replace the last ones."""


class Progress:
    """Receives what a run has to say. The base class is silent; `augforge.cli.render.progress` shows it.

    Before the stages begin `plan` gets the titles of all of them; then `stage` is called with each in turn.
    """

    titles: Sequence[str] = ()
    command: Sequence[str] = ()
    """What was typed, word by word, if it was."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """A bar for `total` items that are still to be done."""
        yield Bar()

    def opening(self, text: str) -> None:
        """What a run begins with: what a source was understood to be, or what is new in its recipe."""

    def say(self, text: str) -> None:
        """A remark worth a line."""

    def about(self, text: str) -> None:
        """What a stage looks at, or what it found: a line of every run; `say` is for the unusual."""

    def plan(self, titles: Sequence[str]) -> None:
        """The stages of the run, such as `2-filter-clip`, in their order."""
        self.titles = tuple(titles)

    def stage(self, title: str) -> None:
        """The stage called `title` begins; or what comes after all of them, if it is none of them."""

    def stands(self, kept: int, dropped: int) -> None:
        """So many images are kept, and were dropped, by what has been done so far."""

    def making(self, folder: str, planned: int, todo: int, rows: int) -> None:
        """Of the `planned` images of this stage `todo` are still to be made; its parts `folder` has so many rows."""

    @contextmanager
    def loading(self, name: str, size: str = "") -> Iterator[None]:
        """The model called `name` is loaded meanwhile; `size` is that of its weights, "" where it is not known."""
        self.say(f"loading {named(name, size)}")
        yield


def named(name: str, size: str) -> str:
    """A model with its size, where that is known."""
    return f"{name} ({size})" if size else name


class Headings(Progress):
    """Names each stage once, just before the first thing that is shown of it; a stage that shows nothing is not named.

    `_head` shows a line.
    """

    _due = ""
    _last = ""

    def stage(self, title: str) -> None:
        """Note the heading, to be shown when the stage has something to show."""
        heading = ""
        if len(self.titles) > 1 and title in self.titles:
            place = self.titles.index(title) + 1
            heading = f"stage {place} of {len(self.titles)}: {title.partition('-')[2]}"
        self._due = "" if heading == self._last else heading

    def begin(self) -> None:
        """Show the heading that is due; called before anything else is shown."""
        if self._due:
            self._last, self._due = self._due, ""
            self._head(self._last)

    def _head(self, text: str) -> None:
        raise NotImplementedError


class LineProgress(Headings):
    """Plain lines on stderr, for logs: one at most every ten seconds, and one at the end of each stage."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """Print lines with a rate, the time that has passed and the time left."""
        self.begin()
        bar = _LineBar(title, total, unit)
        yield bar
        bar.line()

    def opening(self, text: str) -> None:
        """Print it on stderr."""
        self.say(text)

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        self.begin()
        self._head(text)

    def _head(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)

    def about(self, text: str) -> None:
        """Print it on stderr; it names its stage itself."""
        self._head(text)


class _LineBar(Bar):
    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._start = 0, time.monotonic()
        self._last = self._start
        self._note = ""

    def advance(self, count: int = 1) -> None:
        self._done += count
        if self._done < self._total and time.monotonic() - self._last >= LINE_SECONDS:  # the last line comes anyway
            self.line()

    def note(self, text: str) -> None:
        self._note = text

    def line(self) -> None:
        self._last = time.monotonic()
        spent = self._last - self._start
        rate = self._done / max(spent, 1e-9)
        shown = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}, {rate:,.1f}/s, {clock(spent)} elapsed"
        shown += f", {clock((self._total - self._done) / rate)} left" if 0 < self._done < self._total else ""
        shown += f"  {self._note}" if self._note else ""
        print(printable(shown), file=sys.stderr, flush=True)
