"""How the library tells how far it is; silent unless a caller passes something that shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from augforge.printable import printable

LINE_SECONDS = 10.0


class Bar:
    """Progress of one stage; this one shows nothing."""

    def advance(self, count: int = 1) -> None:
        """`count` more items are done and committed."""

    def note(self, text: str) -> None:
        """How it goes, in a few words that replace the last ones."""


class Progress:
    """Receives what a run has to say. The base class is silent; `augforge.cli.render.progress` shows it."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """A bar for `total` items that are still to be done."""
        yield Bar()

    def begin(self, text: str) -> None:
        """What a run begins with: what a source was understood to be, or what is new in its recipe."""

    def say(self, text: str) -> None:
        """A remark worth a line."""


class LineProgress(Progress):
    """Plain lines on stderr, for logs: one at most every ten seconds, and one at the end of each stage."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """Print lines with a rate and the time left."""
        bar = _LineBar(title, total, unit)
        yield bar
        bar.line()

    def begin(self, text: str) -> None:
        """Print it on stderr."""
        self.say(text)

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        print(printable(text), file=sys.stderr, flush=True)


class _LineBar(Bar):
    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done, self._start = 0, time.monotonic()
        self._last = self._start
        self._note = ""

    def advance(self, count: int = 1) -> None:
        self._done += count
        if time.monotonic() - self._last >= LINE_SECONDS:
            self.line()

    def note(self, text: str) -> None:
        self._note = text

    def line(self) -> None:
        self._last = time.monotonic()
        rate = self._done / max(self._last - self._start, 1e-9)
        left = f", {(self._total - self._done) / rate:,.0f} s left" if 0 < self._done < self._total else ""
        shown = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}, {rate:,.1f}/s{left}"
        shown += f"  {self._note}" if self._note else ""
        print(printable(shown), file=sys.stderr, flush=True)
