"""How the library tells how far it is; silent unless a caller passes something that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Bar:
    """Progress of one stage; this one shows nothing."""

    def advance(self, count: int = 1) -> None:
        """`count` more items are done and committed."""

    def note(self, text: str) -> None:
        """How it goes, in a few words that replace the last ones."""


class Progress:
    """Receives what a run has to say. The base class is silent; `augforge.render` shows it."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """A bar for `total` items that are still to be done."""
        yield Bar()

    def say(self, text: str) -> None:
        """A remark worth a line."""
