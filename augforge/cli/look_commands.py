"""The commands that show: inspect, samples, lists, status, why, thresholds, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augforge.cli.completion import among
from augforge.cli.options import HERE, AsJson, DryRun, Folder, Replace, as_it_is


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Images: a folder, dataset, Parquet, COCO, YOLO, run folder, hub:owner/name or sample:digits.",
            show_default=False,
        ),
    ],
    png: Annotated[
        Path | None,
        typer.Option("--png", **HERE, help="Draw examples, with their annotations, into this file."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many examples.")] = 24,
    json: AsJson = False,
) -> None:
    """Say what a source is understood to be, and draw examples of every class and split; nothing is run."""
    from augforge.cli.render.inspection import inspect_and_show

    inspect_and_show(source, png, limit, json)


def samples(
    name: Annotated[
        str, typer.Argument(help="Which data set: digits or streets.", autocompletion=among("digits", "streets"))
    ],
    out: Annotated[Path, typer.Option("--out", **HERE, help="The folder to write.", show_default=False)],
    split: Annotated[
        str, typer.Option("--split", help="train or test.", autocompletion=among("train", "test"))
    ] = "train",
    dry_run: DryRun = False,
    replace: Replace = False,
) -> None:
    """Write a small data set to start with."""
    from augforge.cli.render import dry
    from augforge.cli.render.base import say
    from augforge.io.sample_sets import check_free, sample_images, write

    if dry_run:
        check_free(name, out, split, replace)
        dry.show_file(out, f"{len(sample_images(name, split)):,} images, the {split} split of {name}")
        return
    write(name, out, split, replace=replace)
    say(f"wrote the {split} split of {name} to {out}")


def list_stages(json: AsJson = False) -> None:
    """List the stages, by verb, each with a command as an example."""
    from augforge.cli.render.listing import show_stages
    from augforge.cli.stage_commands import stage_example
    from augforge.recipe.listing import listing

    def example(verb: str, name: str) -> str:
        return stage_example(verb, name, f"augforge {verb} {name}").replace(" photos ", " sample:digits ")

    show_stages([{**row, "example": example(row["verb"], row["name"])} for row in listing("stages")], json)


def list_models(json: AsJson = False) -> None:
    """List the models of the table: what each can do, its licence and size."""
    _show_list("models", json)


def list_recipes(json: AsJson = False) -> None:
    """List the recipes in the folder `recipes/` below the current one."""
    _show_list("recipes", json)


def _show_list(what: str, as_json: bool) -> None:
    from augforge.cli.render.listing import show_listing
    from augforge.recipe.listing import listing

    show_listing(listing(what), as_json)


def status(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A run folder.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Say how far a run is, while it runs or after it was killed, and how to go on; only reads."""
    from augforge.cli.render.status import show_status
    from augforge.engine.status import status as status_of

    show_status(status_of(folder), json)


def why(
    folder: Folder,
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or its first digits.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Show the provenance of one image, back to its files."""
    from augforge.cli.render.life import show_life
    from augforge.provenance.lineage import lineage_of

    show_life(lineage_of(as_it_is(folder), identity), json)


def thresholds(
    folder: Folder,
    measure: Annotated[list[str] | None, typer.Option("--measure", help="Only these measures.")] = None,
    minimum: Annotated[list[float] | None, typer.Option("--min", help="What this `min` would keep, too.")] = None,
    json: AsJson = False,
) -> None:
    """Show the histogram of every score, and what each cut would keep."""
    from augforge.cli.render.thresholds import show_thresholds
    from augforge.report.thresholds import thresholds as measured

    show_thresholds(measured(as_it_is(folder), names=measure, minimums=minimum or ()), json)


def report(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", **HERE, help="The HTML file; DIR/report.html if not given."),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option("--png", **HERE, help="Write the figures as PNG into this folder, too."),
    ] = None,
    megabytes: Annotated[
        float, typer.Option("--megabytes", min=0.5, max=100_000, help="How large the file may be.")
    ] = 40.0,
    dry_run: DryRun = False,
    replace: Replace = False,
    umap: Annotated[bool, typer.Option("--umap", help="Map the images by UMAP, too; needs 'augforge[umap]'.")] = False,
    json: AsJson = False,
) -> None:
    """Write one HTML file that shows what a run did and why."""
    from augforge.cli.render.report import report_and_show

    options = {"png": png, "megabytes": megabytes, "umap": umap, "replace": replace}
    report_and_show(as_it_is(folder), out, json, dry_run=dry_run, **options)
