"""How the help of a command looks: a usage line, whole sentences, an example, and a panel for each kind of option.

Typer's own renderer reads Markdown and loads Pygments for it, which takes as long as the rest of `augforge --help`.
"""

from __future__ import annotations

import re
import textwrap
from inspect import cleandoc
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

ARGUMENTS, OPTIONS, COMMANDS = "Arguments", "Options", "Commands"
Row = tuple[Text, str]


def show_help(command: Any, ctx: Any) -> None:
    """Print the help of a command in the full width of the terminal."""
    console = Console(highlight=False, emoji=False)
    console.print(Padding(Text(_usage(command, ctx), style="bold"), (1, 1, 0, 1)))
    for paragraph in paragraphs(command.help or ""):
        console.print(Padding(Text(paragraph), (1, 1, 0, 1)))
    if command.epilog:
        example = Text.assemble(("Example: ", "bold"), (" ".join(command.epilog.split()), "cyan"))
        console.print(Padding(example, (1, 1, 0, 1)))
    console.print()
    for title, rows in _panels(command, ctx).items():
        console.print(_panel(title, rows, console.width))


def _usage(command: Any, ctx: Any) -> str:
    pieces = [re.sub(r"{(.*)}", lambda found: found[1].upper(), piece) for piece in command.collect_usage_pieces(ctx)]
    return " ".join(["Usage:", ctx.command_path, *pieces])


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each in one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", cleandoc(text)) if part.strip()]


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, whole."""
    first = next(iter(paragraphs(text or "")), "")
    found = re.match(r".+?\.(?=\s|$)", first)
    return found.group() if found else first


def _panels(command: Any, ctx: Any) -> dict[str, list[Row]]:
    """The rows of each panel in the order of their first member; arguments and options without a panel first."""
    panels: dict[str, list[Row]] = {ARGUMENTS: [], OPTIONS: []}
    for param in command.get_params(ctx):
        if not param.hidden:
            title = param.rich_help_panel or (ARGUMENTS if param.param_type_name == "argument" else OPTIONS)
            panels.setdefault(title, []).append((_names(param, ctx), _about(param)))
    for name in command.list_commands(ctx) if hasattr(command, "list_commands") else ():
        title, sentence = command.listed(ctx, name)
        panels.setdefault(title or COMMANDS, []).append((Text(name, style="bold cyan"), sentence))
    return {title: rows for title, rows in panels.items() if rows}


def _panel(title: str, rows: list[Row], width: int) -> Panel:
    """Two columns in a box. Laid out here: rich's tables take twice as long as all the rest."""
    left = max(len(names) for names, _ in rows) + 2
    room = max(width - left - 4, 20)
    body = Text(no_wrap=True, overflow="fold", end="")
    for names, about in rows:
        first, *others = textwrap.wrap(about, room, break_on_hyphens=False) or [""]
        body.append_text(names).append(" " * (left - len(names)) + first + "\n")
        for line in others:
            body.append(" " * left + line + "\n")
    body.rstrip()
    body.highlight_regex(r"\[default: [^\]]*\]", "dim")
    body.highlight_regex(r"\[required\]", "red")
    return Panel(body, title=Text(title), title_align="left", border_style="dim", width=width)


def _names(param: Any, ctx: Any) -> Text:
    """What is typed: the names of an option and what its value is called, or the name of an argument."""
    if param.param_type_name == "argument":
        return Text(param.metavar or param.name.upper(), style="bold yellow")
    names, _ = param.get_help_record(ctx)
    text = Text(re.sub(r"<?\b([A-Za-z]+)( RANGE| range)?>?$", _kind, names), style="yellow")
    text.highlight_regex(r"--?[\w-]+", "bold cyan")
    return text


def _kind(found: re.Match[str]) -> str:
    """What the value of an option is called; typer has changed its words for it, ours stay."""
    word = found[1].upper()
    kinds = {"INT": "N", "INTEGER": "N", "FLOAT": "X", "STR": "TEXT", "PATH": "PATH"}
    return kinds.get(word, found[0])


def _about(param: Any) -> str:
    """The help of an option, and its default."""
    default = "required" if param.required else _default(param)
    words = {"": "", "required": " [required]"}.get(default, f" [default: {default}]")
    return f"{param.help or ''}{words}"


def _default(param: Any) -> str:
    """The default as it is typed; nothing where there is none to speak of."""
    value = param.default
    if not param.show_default or value is None or value is False or value in ("", (), []):
        return ""
    if value is True:
        return str(param.opts[0]).lstrip("-") if param.secondary_opts else "true"
    return str(value)
