"""The tree of commands, walked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from augforge.cli.app import app

Words = tuple[str, ...]


def root() -> tuple[Any, Any]:
    """The root and its context."""
    command: Any = typer.main.get_command(app)
    return command, command.context_class(command, info_name="augforge")


def leaves(
    words: tuple[str, ...] = (), at: tuple[Any, Any] | None = None
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every command and group below the root: its words, the command and its context."""
    command, context = at or root()
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        inner = command.get_command(context, name)
        below = inner.context_class(inner, info_name=name, parent=context)
        yield (*words, name), inner, below
        yield from leaves((*words, name), (inner, below))
