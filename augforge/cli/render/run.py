"""How runs, trainings and checked recipes look in a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from augforge.cli.render import dry
from augforge.cli.render.base import VERBOSE, level, more, out, print_json, right, say
from augforge.cli.render.next import after_run, after_training, say_next, say_what_is_earlier
from augforge.cli.render.progress import terminal_progress, typed
from augforge.cli.render.splits import show_splits
from augforge.cli.stopping import told_at_once
from augforge.errors import shortened

if TYPE_CHECKING:
    from augforge.engine.run import Summary
    from augforge.recipe import Recipe

MOST = 8
"""Reasons of a stage that are listed."""


def run_and_show(recipe: Recipe, folder: Path, as_json: bool, **options: Any) -> None:
    """Run a recipe with a progress display, then show what it did."""
    from augforge.engine.engines.choose import engine_among
    from augforge.engine.retry import check_retry
    from augforge.engine.run import run

    engine = engine_among(options)
    if options.pop("dry_run", False):
        check_retry(options.get("retry"))
        dry.show_run(recipe, folder, as_json, replace=options["replace"], limit=options.get("limit"))
        return
    started = time.monotonic()
    progress = terminal_progress()
    progress.command = typed()
    with told_at_once():
        summary = run(recipe, folder, progress=progress, engine=engine, **options)
    if as_json:
        print_json({**asdict(summary), "computed": summary.computed})
    else:
        show_summary(summary, time.monotonic() - started)


def train_and_show(recipe: Recipe, folder: Path, as_json: bool, **options: Any) -> None:
    """Train a model with a progress display, then show what was measured."""
    from augforge.engine.retry import check_retry
    from augforge.engine.runners.train import train_alone
    from augforge.models.directory import weights_path

    if options.pop("dry_run", False):
        check_retry(options.get("retry"))
        dry.show_training(recipe, folder, as_json, options.get("limit"))
        return
    started = time.monotonic()
    progress = terminal_progress()
    with told_at_once():
        record = train_alone(recipe, folder, progress=progress, **options)
    if as_json:
        print_json({name: value for name, value in record.items() if name != "history"})
        return
    if not record["trained"]:
        say(f"{folder} is up to date: this model is trained already")
    for line in said_of_judging(record):
        say(line)
    for name, value in record["measured"].items():
        say(f"  {name:<24} {value:.4g}")
    weights = weights_path(Path(), record)
    say(f"{folder}: {weights}, model.json, samples.png, losses.png, README.md; {_duration(started)}")
    say_next(after_training(record["trainer"], folder))


def said_of_judging(record: Mapping[str, Any]) -> list[str]:
    """How many held-out images the figures are of; of a classifier also the classes of which none was among them."""
    if "held-out" not in record["data"]:
        return []
    count = record["data"]["held-out"]["images"]
    if not count:
        return ["measured on images that it was trained on: none is held out"]
    named = "lowest-recall" not in record["measured"]  # of many classes only the lowest stands there
    classes = record["facts"].get("classes", ())  # of a classifier
    few = [name for name in classes if named and f"recall {name}" not in record["measured"]]
    none = f"; of class{'es' if len(few) > 1 else ''} {shortened(few)} none is held out" if few else ""
    return [f"measured on {count:,} held-out image{'s' if count != 1 else ''}{none}"]


def _duration(started: float) -> str:
    return f"{time.monotonic() - started:,.0f} s"


def show_summary(summary: Summary, seconds: float) -> None:
    """Tables of what a run did."""
    from augforge.engine.run import COMPUTED

    if summary.up_to_date:
        say(f"{summary.out} is up to date: nothing was computed, {_totals(summary)}")
        say_what_is_earlier(summary.out)
        say_next(after_run(summary.out))
        return
    table = Table("stage", *(right(name) for name in ("in", "out", "computed", "reused")), box=None, pad_edge=False)
    for row in summary.work:
        computed = sum(row.get(name, 0) for name in COMPUTED)
        reused = f"{row['reused']:,}" if "reused" in row else ""
        table.add_row(row["stage"], f"{row['in']:,}", f"{row['out']:,}", f"{computed:,}", reused)
    out.print(table)
    _say_reasons(summary)
    show_splits(summary)
    if summary.computed == 0:
        say("nothing was computed: all results were there, only decisions were made again")
    say(f"{_totals(summary)}, {seconds:.1f} s; see {summary.out}/README.md")
    say_what_is_earlier(summary.out)
    say_next(after_run(summary.out))


def _say_reasons(summary: Summary) -> None:
    """For what images were dropped, stage by stage; the most frequent reasons, or all where much is to be said."""
    for stage, reasons in summary.reasons.items():
        most = len(reasons) if level.name == VERBOSE else MOST
        for reason, count in list(reasons.items())[:most]:
            say(f"  dropped {count:,} in {stage}: {reason}")
        if len(reasons) > most:
            say(f"  {more(len(reasons) - most)}")


def _totals(summary: Summary) -> str:
    return f"{summary.kept:,} images kept, {summary.dropped:,} dropped with a reason"


def show_checked(path: Path, recipe: Recipe) -> None:
    """Say that a recipe is valid, and what of it is likely not meant."""
    from augforge.recipe.advice import source_warnings_of, warnings_of
    from augforge.recipe.needs import needs_of

    say(f"{path} is valid: {len(recipe.sources)} source(s), {len(recipe.stages)} stage(s), seed {recipe.seed}")
    for line in needs_of(recipe):
        say(line)
    for warning in (*source_warnings_of(recipe), *warnings_of(recipe)):
        say(f"warning: {warning}")
