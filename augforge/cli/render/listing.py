"""How lists look in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from augforge.cli.render.base import literal, out, print_json, say

WIDE = 140  # columns of a terminal that shows everything


def show_stages(rows: Sequence[Mapping[str, str]], as_json: bool) -> None:
    """The stages with what they do, and below each a command as an example."""
    if as_json:
        print_json(list(rows))
        return
    for row in rows:
        out.print(Text(f"{row['verb']} {row['name']}", style="bold"))
        out.print(Padding(literal(row["about"]), (0, 0, 0, 2)))
        out.print(Text(f"  {row['example']}", style="dim"), soft_wrap=True)  # to be copied as one line


def show_listing(rows: Sequence[Mapping[str, str]], as_json: bool) -> None:
    """A table of rows that have the same keys; a narrow terminal is spared the columns that would break every word."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        say("nothing here")
        return
    names = [name for name in rows[0] if out.width >= WIDE or name not in ("where", "size", "licence")]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name in ("name", "verb", "does", "recipe"), overflow="fold")
    for row in rows:
        table.add_row(*(literal(row[name].replace(", ", ",\n") if name == "does" else row[name]) for name in names))
    out.print(table)
