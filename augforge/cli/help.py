"""How the help of a command looks: a usage line, whole sentences, an example, and a panel for each kind of option.

Drawn here, in the full width of the terminal: with rich `augforge --help` would take half as long again, and with
typer's own renderer, which loads Markdown and Pygments, more than twice as long.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any, NamedTuple

import typer

ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"
BOX, PLAIN_BOX = "╭─╮│╰╯", "+-+|++"
NARROWEST = 20
"""Columns that the right side of a panel has at least."""


class Row(NamedTuple):
    """A line of a panel: what is typed, what its value is called, what it does, and whether it must be given."""

    name: str
    value: str
    about: str
    note: str = ""

    @property
    def left(self) -> str:
        """The left column."""
        return f"{self.name} {self.value}".strip()


def show_help(command: Any, ctx: Any) -> None:
    """Print the help of a command in the full width of the terminal."""
    typer.echo(_fitting("\n".join(_lines(command, ctx, shutil.get_terminal_size().columns))))


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each in one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", cleandoc(text)) if part.strip()]


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, whole."""
    first = next(iter(paragraphs(text or "")), "")
    found = re.match(r".+?\.(?=\s|$)", first)
    return found.group() if found else first


def _lines(command: Any, ctx: Any, width: int) -> Iterator[str]:
    yield from ("", *(_style(line, bold=True) for line in _wrapped(_usage(command, ctx), width)))
    for paragraph in paragraphs(command.help or ""):
        yield from ("", *_wrapped(paragraph, width))
    if command.epilog:
        example = " ".join(command.epilog.split())
        yield from ("", *(_style(line, fg="cyan") for line in _wrapped(f"Example: {example}", width)))
    yield ""
    for title, rows in _panels(command, ctx).items():
        yield from _panel(title, rows, width)


def _usage(command: Any, ctx: Any) -> str:
    pieces = [re.sub(r"{(.*)}", lambda found: found[1].upper(), piece) for piece in command.collect_usage_pieces(ctx)]
    return " ".join(["Usage:", ctx.command_path, *pieces])


def _panels(command: Any, ctx: Any) -> dict[str, list[Row]]:
    """The rows of each panel in the order of their first member; arguments and options without a panel first."""
    panels: dict[str, list[Row]] = {ARGUMENTS: [], OPTIONS: []}
    for param in command.get_params(ctx):
        if not param.hidden:
            title = param.rich_help_panel or (ARGUMENTS if param.param_type_name == "argument" else OPTIONS)
            panels.setdefault(title, []).append(_row(param, ctx))
    for name in command.list_commands(ctx) if hasattr(command, "list_commands") else ():
        title, sentence = command.listed(ctx, name)
        panels.setdefault(title or COMMANDS, []).append(Row(name, "", sentence))
    return {title: rows for title, rows in panels.items() if rows}


def _row(param: Any, ctx: Any) -> Row:
    """The names of an option and what its value is called, or the name of an argument; its help and default."""
    note = "[required]" if param.required else _default(param)
    if param.param_type_name == "argument":
        return Row(param.metavar or param.name.upper(), "", param.help or "", note)
    names, _ = param.get_help_record(ctx)
    found = re.fullmatch(r"((?:--?[\w-]+(?:, | / )?)+)(.*)", names)
    name, value = (found[1], found[2]) if found else (names, "")
    return Row(
        name.strip(),
        re.sub(r"<?([A-Za-z]+)( range)?>?", _kind, value.strip(), flags=re.IGNORECASE),
        *_about(param, note),
    )


def _kind(found: re.Match[str]) -> str:
    """What the value of an option is called; typer has changed its words for it, ours stay."""
    kinds = {"INT": "N", "INTEGER": "N", "FLOAT": "X", "STR": "TEXT", "PATH": "PATH"}
    return kinds.get(found[1].upper(), found[0])


def _about(param: Any, note: str) -> tuple[str, str]:
    """The help of an option and its note; the default of a stage's option stands in its help."""
    about, mark, default = (param.help or "").partition(" [default: ")
    return about, f"{mark}{default}".strip() or note


def _default(param: Any) -> str:
    """The default as it is typed; nothing where there is none to speak of."""
    value = param.default
    if not param.show_default or value is None or value is False or value in ("", (), []):
        return ""
    if value is True:
        value = str(param.opts[0]).lstrip("-") if param.secondary_opts else "true"
    return f"[default: {value}]"


def _panel(title: str, rows: Iterable[Row], width: int) -> Iterator[str]:
    """The rows in two columns in a box."""
    rows = list(rows)
    left = max(len(row.left) for row in rows) + 2
    room = max(width - left - 4, NARROWEST)
    inner = left + room
    corner, line, other, side, low, last = tuple(BOX)
    yield _style(f"{corner}{line} ", dim=True) + title + _style(f" {line * (inner - len(title) - 1)}{other}", dim=True)
    edge = _style(side, dim=True)
    for row in rows:
        names = f"{_style(row.name, fg='cyan', bold=True)} {_style(row.value, fg='yellow')}" if row.value else ""
        first = names or _style(row.name, fg="cyan", bold=True)
        for number, (text, plain) in enumerate(_about_lines(row, room)):
            begin = first + " " * (left - len(row.left)) if number == 0 else " " * left
            yield f"{edge} {begin}{text}{' ' * (room - plain)} {edge}"
    yield _style(f"{low}{line * (inner + 2)}{last}", dim=True)


def _about_lines(row: Row, room: int) -> Iterator[tuple[str, int]]:
    """The right column, wrapped, with the columns that each line takes; the note at its end is dim, or red."""
    lines = _wrapped(f"{row.about} {row.note}".strip(), room) or [""]
    noted, left = [0] * len(lines), len(row.note)
    for number in range(len(lines) - 1, -1, -1):
        noted[number] = min(left, len(lines[number]))
        left = max(0, left - noted[number] - 1)  # and the space at which the line was broken
    look: dict[str, Any] = {"fg": "red"} if row.note == "[required]" else {"dim": True}
    for line, count in zip(lines, noted, strict=True):
        cut = len(line) - count
        yield line[:cut] + (_style(line[cut:], **look) if count else ""), len(line)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _style(text: str, **look: Any) -> str:
    """Text in colour, unless the user wants none; where there is no terminal, `typer.echo` takes it away again."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, **look)


def _fitting(text: str) -> str:
    """The text without what the encoding of stdout cannot say."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans(BOX, PLAIN_BOX))
    return text.encode(encoding, "replace").decode(encoding)
