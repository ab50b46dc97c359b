"""How things look in a terminal. This module and its neighbours `render_*` alone import rich, and print."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from augforge.printable import printable, printable_json
from augforge.progress import Bar, LineProgress, Progress

if TYPE_CHECKING:
    from augforge.engine.run import Summary
    from augforge.provenance.lineage import Lineage
    from augforge.recipe import Recipe
    from augforge.report.thresholds import Group, Measure

LINE_SECONDS = 10.0
WIDE = 140  # columns of a terminal that shows everything
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def literal(text: str) -> str:
    """Text as rich shows it just as it is: no markup, no emoji, and nothing that a terminal would obey."""
    return escape(printable(text))


class Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        """The rate of a task, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="cyan")


class TerminalProgress(Progress):
    """A bar for each stage, on stderr."""

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """Show a bar with a rate and the time left."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichBars(*columns, console=err) as bars:
            yield _TerminalBar(bars, bars.add_task(literal(title), total=total, note=""))

    def say(self, text: str) -> None:
        """Print a remark on stderr."""
        err.print(literal(text), style="dim", soft_wrap=True)


class _TerminalBar(Bar):
    def __init__(self, bars: RichBars, task: Any) -> None:
        self._bars, self._task = bars, task

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=literal(text))


def say(text: str) -> None:
    """Print one line on stdout."""
    out.print(literal(text), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    print(printable_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)))


def terminal_progress() -> Progress:
    """Bars in a terminal, plain lines elsewhere."""
    return TerminalProgress() if err.is_terminal else LineProgress()


def run_and_show(recipe: Recipe, folder: Path, as_json: bool, **options: Any) -> None:
    """Run a recipe with a progress display, then show what it did."""
    from augforge.engine.run import run

    started = time.monotonic()
    progress = terminal_progress()
    summary = run(recipe, folder, progress=progress, **options)
    if as_json:
        print_json({**asdict(summary), "computed": summary.computed})
    else:
        show_summary(summary, time.monotonic() - started)


def train_and_show(recipe: Recipe, folder: Path, as_json: bool, **options: Any) -> None:
    """Train a model with a progress display, then show what was measured."""
    from augforge.engine.runners.train import train_alone

    started = time.monotonic()
    progress = terminal_progress()
    record = train_alone(recipe, folder, progress=progress, **options)
    if as_json:
        print_json({name: value for name, value in record.items() if name != "history"})
        return
    if not record["trained"]:
        say(f"{folder} is up to date: this model is trained already")
    for name, value in record["measured"].items():
        say(f"  {name:<24} {value:.4g}")
    say(f"{folder}: model.safetensors, model.json, samples.png, losses.png, README.md; {_duration(started)}")


def _duration(started: float) -> str:
    return f"{time.monotonic() - started:,.0f} s"


def show_thresholds(measures: Sequence[Measure], as_json: bool) -> None:
    """A histogram of each measure for each origin, and a table of what every cut would keep."""
    if as_json:
        print_json([asdict(measure) for measure in measures])
        return
    if not measures:
        say("no filter has measured anything in this run")
    for measure in measures:
        say(f"{measure.name} ({'less' if measure.lower_is_better else 'more'} is better)")
        for group in (g for g in measure.groups if g.label is None and g.count):
            who = group.origin or "all"
            spread = f"mean {group.mean:.4g}, std {group.std:.4g}"
            missing = f", {group.missing:,} without" if group.missing else ""
            say(f"  {who:<10} {_bars(group.counts)}  {group.edges[0]:.4g} to {group.edges[-1]:.4g}; {spread}{missing}")
        out.print(_cuts_table(measure.groups[0]))


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


def show_summary(summary: Summary, seconds: float) -> None:
    """Tables of what a run did."""
    from augforge.engine.run import COMPUTED

    if summary.up_to_date:
        say(f"{summary.out} is up to date: nothing was computed, {_totals(summary)}")
        return
    table = Table("stage", *(right(name) for name in ("in", "out", "computed", "reused")), box=None, pad_edge=False)
    for row in summary.work:
        computed = sum(row.get(name, 0) for name in COMPUTED)
        reused = f"{row['reused']:,}" if "reused" in row else ""
        table.add_row(row["stage"], f"{row['in']:,}", f"{row['out']:,}", f"{computed:,}", reused)
    out.print(table)
    for stage, reasons in summary.reasons.items():
        for reason, count in list(reasons.items())[:8]:
            say(f"  dropped {count:,} in {stage}: {reason}")
    if summary.computed == 0:
        say("nothing was computed: all results were there, only decisions were made again")
    say(f"{_totals(summary)}, {seconds:.1f} s; see {summary.out}/README.md")


def _totals(summary: Summary) -> str:
    return f"{summary.kept:,} images kept, {summary.dropped:,} dropped with a reason"


def right(name: str) -> Any:
    """A column of numbers."""
    from rich.table import Column

    return Column(name, justify="right")


def show_checked(path: Path, recipe: Recipe) -> None:
    """Say that a recipe is right."""
    say(f"{path} is right: {len(recipe.sources)} source(s), {len(recipe.stages)} stage(s), seed {recipe.seed}")


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


def show_life(life: Lineage, as_json: bool) -> None:
    """The tree of a sample's life."""
    if as_json:
        print_json(life.plain())
    else:
        out.print(_tree(life, Tree(_headline(life.row))))


def _tree(life: Lineage, tree: Tree) -> Tree:
    for line in _facts(life.row):
        tree.add(literal(line))
    for parent in life.parents:
        _tree(parent, tree.add(_headline(parent.row)))
    return tree


def _headline(row: Mapping[str, Any]) -> str:
    outcome = "kept" if row.get("kept") else f"dropped by {row.get('dropped_by')}: {row.get('dropped')}"
    about = f"{row.get('origin', '')} {row.get('label')!r}, {outcome}"
    return f"[bold]{literal(row['id'])}[/bold] {literal(about)}"


def _facts(row: Mapping[str, Any]) -> Iterator[str]:
    if row.get("source"):
        yield f"file    {row['source']}"
    if row.get("split"):
        yield f"split   {row['split']}"
    if row.get("labelled_by"):
        yield f"label   given by {row['labelled_by']}, not by the source"
    if row.get("note"):
        yield f"note    {row['note']}"
    if row.get("digest"):
        yield f"sha256  {row['digest']}"
    generation_config = row.get("generation_config") or {}
    if generation_config:
        model = generation_config.get("model")
        by = f" by {model.get('name')} (weights {str(model.get('digest'))[:12]})" if isinstance(model, dict) else ""
        yield f"made    {row['stage']}{by}, seed {row['seed']}"
        hidden = {"model", "generator", "generator-version", "versions", "asked"}
        off: tuple[Any, ...] = (None, False, "", [], "off")
        options = {
            name: value
            for name, value in generation_config.items()
            if name not in hidden and value not in off and name not in row["sampled_params"]
        }
        yield "options " + ", ".join(f"{name} {value}" for name, value in options.items())
        yield "with    " + ", ".join(f"{name} {value}" for name, value in generation_config.get("versions", {}).items())
    if row.get("sampled_params"):
        yield "drawn   " + ", ".join(f"{name} {_short(value)}" for name, value in row["sampled_params"].items())
    if row.get("scores"):
        yield "scores  " + ", ".join(f"{name} {value:.4f}" for name, value in row["scores"].items())
    if row.get("kept"):
        yield f"weight  {row['weight']:.4g}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_short(inner)}" for name, inner in value.items()) + "}"
    return "[" + ", ".join(map(_short, value)) + "]" if isinstance(value, list) else str(value)
