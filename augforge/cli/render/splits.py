"""How splits look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from augforge.cli.render.base import literal, out, right, say

if TYPE_CHECKING:
    from augforge.engine.run import Summary

MOST = 20
"""Classes that are listed one by one."""


def show_splits(summary: Summary) -> None:
    """The images of each split, in all and by class, and the groups that were kept together; of a run that split."""
    if not summary.together or not summary.splits:
        return
    from augforge.data.splits import told

    splits = list(summary.splits)
    table = Table("class", *(right(literal(split) or "none") for split in splits), box=None, pad_edge=False)
    table.add_row("all", *(f"{sum(summary.splits[split].values()):,}" for split in splits))
    classes = list(next(iter(summary.splits.values())))
    for name in classes[:MOST]:
        table.add_row(literal(name) or "no class", *(f"{summary.splits[split][name]:,}" for split in splits))
    out.print(table)
    if len(classes) > MOST:
        say(f"… {len(classes) - MOST:,} more classes: {summary.out}/README.md has them all")
    say(told(summary.together))
