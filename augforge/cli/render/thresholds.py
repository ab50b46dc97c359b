"""How scores and cuts look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from augforge.cli.render.base import out, print_json, right, say

if TYPE_CHECKING:
    from augforge.report.thresholds import Group, Measure


def show_thresholds(measures: Sequence[Measure], as_json: bool) -> None:
    """A histogram of each measure for each origin, and a table of what every cut would keep."""
    if as_json:
        print_json([asdict(measure) for measure in measures])
        return
    if not measures:
        say("no filter has measured anything in this run")
    for measure in measures:
        say(f"{measure.name} ({'less' if measure.lower_is_better else 'more'} is better)")
        for group in measure.groups:
            if group.label is None and group.count:
                say(_line(group))
        out.print(_cuts_table(measure.groups[0]))


def _line(group: Group) -> str:
    """The histogram of a group with its range, mean and deviation."""
    spread = f"mean {group.mean:.4g}, std {group.std:.4g}"
    missing = f", {group.missing:,} without" if group.missing else ""
    bounds = f"{group.edges[0]:.4g} to {group.edges[-1]:.4g}"
    return f"  {group.origin or 'all':<10} {_bars(group.counts)}  {bounds}; {spread}{missing}"


def _bars(counts: Sequence[int]) -> str:
    """A histogram in one line of text."""
    most = max(counts, default=0) or 1
    return "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // most)] for count in counts)


def _cuts_table(group: Group) -> Table:
    """What every cut would keep of a group, over all of it and class by class."""
    table = Table(
        "cut", *(right(name) for name in ("keeps over all", "by class", "worst kept")), box=None, pad_edge=False
    )
    for cut in group.cuts:
        bound = "" if cut.bound is None else f"{cut.bound:.4g}"
        row = (f"--{cut.option} {cut.value:g}", f"{cut.kept:,} of {group.count:,}", f"{cut.kept_by_class:,}", bound)
        table.add_row(*row)
    return table
