"""How results look in a notebook, and how they tell how far they are. Nothing here trusts a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from augforge.printable import printable
from augforge.progress import LineProgress, Progress

MOST = 60
"""Rows of a table that are shown."""

T = TypeVar("T")


def progress_of(wanted: bool | Progress) -> Progress:
    """Plain lines on stderr for True, silence for False, or the given progress display itself."""
    if isinstance(wanted, Progress):
        return wanted
    return LineProgress() if wanted else Progress()


def text(value: object) -> str:
    """A value as HTML text: no markup, and nothing that turns the writing direction."""
    shown = f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if _is_count(value) else str(value)
    return escape(printable(shown))


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """An HTML table, of at most `MOST` rows; every cell is escaped, numbers stand to the right."""
    lines = [f"<caption>{text(caption)}</caption>"] if caption else []
    lines.append("<tr>" + "".join(f"<th>{text(name)}</th>" for name in head) + "</tr>")
    lines += ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows[:MOST]]
    if len(rows) > MOST:
        lines.append(f'<tr><td colspan="{len(head)}">and {len(rows) - MOST:,} more</td></tr>')
    return "<table>" + "".join(lines) + "</table>"


def _cell(value: object) -> str:
    number = isinstance(value, float) or _is_count(value)
    return f"<td{' style=text-align:right' if number else ''}>{text('' if value is None else value)}</td>"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Rows(list[T]):
    """A list that shows itself as a table in a notebook; `columns` says what of an item is shown."""

    def __init__(self, items: Iterable[T], columns: Callable[[T], Mapping[str, Any]]) -> None:
        super().__init__(items)
        self._columns = columns

    def _repr_html_(self) -> str:
        shown = [self._columns(item) for item in self]
        head = list(shown[0]) if shown else ["nothing"]
        return table(head, [list(row.values()) for row in shown])
