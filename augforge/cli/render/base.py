"""What prints. This folder (and the help) alone import rich."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from augforge.printable import printable, printable_json

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"


class Level:
    """How much is said: `quiet` only errors and JSON, `verbose` all that there is to say."""

    name = NORMAL

    def take(self, name: str) -> None:
        """Say so much from now on."""
        self.name = name
        out.quiet = name == QUIET


level = Level()
"""That of the command that runs."""


def literal(text: str) -> str:
    """Text as rich shows it just as it is: no markup, no emoji, and nothing that a terminal would obey."""
    return escape(printable(text))


def say(text: str) -> None:
    """Print one line on stdout."""
    out.print(literal(text), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    print(printable_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def right(name: str) -> Any:
    """A column of numbers."""
    return Column(name, justify="right")


def more(count: int, all_by: str = "--json shows all") -> str:
    """The last line of a list that was cut."""
    return f"… {count:,} more ({all_by})"
