"""The command line. Every command is a few lines; what it does lies in the library, how it looks in `render`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from augforge import __version__
from augforge.cli.export_commands import check_marks, export
from augforge.cli.options import AsJson, Device, Limit, MaxBad, Out, Recipe, Retry, Seed, SharedStore
from augforge.cli.rebuild_commands import diff, lock_, rebuild, regen, verify
from augforge.errors import AugforgeError, RecipeError, did_you_mean
from augforge.printable import printable
from augforge.stages.catalog import STAGES

EVALUATE = "evaluate"
SINGLE = {"pseudo-label": "confidence", "split": "near-duplicates"}
"""Verbs with a single stage, which need no name on the command line."""


def _command(verb: str, stage: str, name: str) -> Any:
    """The command `name` for a stage, made from its options."""
    from augforge.cli.stage_commands import stage_command

    return _built(name, stage_command(verb, stage))


def _built(name: str, function: Any) -> Any:
    """The command `name` that calls a function with typer's annotations."""
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name=name)(function)
    return typer.main.get_command(one)


class Root(TyperGroup):
    """Turns our own errors into two lines and an exit code; anything else is a defect and keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, those of single stages last."""
        return [*super().list_commands(ctx), EVALUATE, *SINGLE]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; `evaluate` and those of a single stage are built when they are asked for."""
        if cmd_name == EVALUATE:
            from augforge.cli.evaluate_command import evaluate_command

            return _built(EVALUATE, evaluate_command())
        if cmd_name in SINGLE:
            return _command(cmd_name, SINGLE[cmd_name], cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AugforgeError as error:
            typer.echo(printable(f"augforge: {error.message}"), err=True)
            if error.hint:
                typer.echo(printable(f"  {error.hint}"), err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            typer.echo("\naugforge: interrupted; what was done is kept, run the same command to go on", err=True)
            sys.exit(130)


class StageCommands(TyperGroup):
    """A group whose commands are the stages of one verb, each built when it is asked for."""

    verb: ClassVar[str]

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verb's stages."""
        return [name for verb, name in STAGES if verb == self.verb]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one stage; RecipeError with the likely name if there is none."""
        if (self.verb, cmd_name) not in STAGES:
            raise RecipeError(
                f"there is no {self.verb} stage called {cmd_name!r}", did_you_mean(cmd_name, self.list_commands(ctx))
            )
        return _command(self.verb, cmd_name, cmd_name)


class Generators(StageCommands):
    """`augforge generate …`."""

    verb = "generate"


class Filters(StageCommands):
    """`augforge filter …`."""

    verb = "filter"


class Trainers(StageCommands):
    """`augforge train …`."""

    verb = "train"


class Selectors(StageCommands):
    """`augforge select-subset …`."""

    verb = "select"


app = typer.Typer(
    name="augforge",
    cls=Root,
    help="Synthesize and curate image datasets: generate, filter, select, and know where every row came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(typer.Typer(cls=Generators, no_args_is_help=True), name="generate", help="Make new images of each class.")
app.add_typer(typer.Typer(cls=Filters, no_args_is_help=True), name="filter", help="Throw out the bad images.")
app.add_typer(typer.Typer(cls=Trainers, no_args_is_help=True), name="train", help="Train a model on your own images.")
app.add_typer(
    typer.Typer(cls=Selectors, no_args_is_help=True), name="select-subset", help="Keep the subset worth training on."
)


@app.command()
def run(
    recipe: Recipe,
    out: Out,
    limit: Limit = None,
    seed: Seed = None,
    device: Device = "auto",
    max_bad: MaxBad = 0.1,
    store: SharedStore = None,
    lock: Annotated[bool, typer.Option("--lock/--no-lock", help="Write the lock beside the recipe.")] = True,
    retry: Retry = None,
    json: AsJson = False,
) -> None:
    """Run a recipe, going on with whatever is there, and write its lock (unless --limit or --seed make it another)."""
    from augforge.cli.render import base as render
    from augforge.recipe import load_recipe

    options: dict[str, Any] = {"device": device, "limit": limit, "max_bad": max_bad, "store": store, "retry": retry}
    beside = recipe.with_suffix(".lock") if lock and limit is None and seed is None else None
    render.run_and_show(load_recipe(recipe, seed), out, json, lock=beside, **options)


@app.command()
def check(recipe: Recipe) -> None:
    """Say whether a recipe is right."""
    from augforge.cli.render import base as render
    from augforge.recipe import load_recipe

    render.show_checked(recipe, load_recipe(recipe))


@app.command()
def plan(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option("--out", help="The run folder, to see what can be reused.")] = None,
    limit: Limit = None,
    seed: Seed = None,
    json: AsJson = False,
) -> None:
    """Say what a run would do, without loading a model."""
    from augforge.cli.render.plan import show_plan
    from augforge.engine.plan import plan_run
    from augforge.recipe import load_recipe

    show_plan(plan_run(load_recipe(recipe, seed), out, limit), json)


@app.command()
def samples(
    name: Annotated[str, typer.Argument(help="Which sample data set: digits or streets.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", show_default=False)],
    split: Annotated[str, typer.Option("--split", help="train or test.")] = "train",
) -> None:
    """Write a small real data set to start with."""
    from augforge.cli.render import base as render
    from augforge.io.sample_sets import write

    write(name, out, split)
    render.say(f"wrote the {split} split of {name} to {out}")


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="stages, models or recipes.")],
    json: AsJson = False,
) -> None:
    """List the stages, models or recipes there are."""
    from augforge.cli.render import base as render
    from augforge.recipe.listing import listing

    render.show_listing(listing(what), json)


@app.command()
def why(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or its first digits.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Tell the life of one image, back to its files."""
    from augforge.cli.render import base as render
    from augforge.provenance.lineage import lineage_of

    render.show_life(lineage_of(folder, identity), json)


@app.command()
def thresholds(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    measure: Annotated[list[str] | None, typer.Option("--measure", help="Only these measures.")] = None,
    minimum: Annotated[list[float] | None, typer.Option("--min", help="What this `min` would keep, too.")] = None,
    json: AsJson = False,
) -> None:
    """Show the histogram of every score, and what each cut would keep."""
    from augforge.cli.render import base as render
    from augforge.report.thresholds import thresholds as measured

    render.show_thresholds(measured(folder, names=measure, minimums=minimum or ()), json)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="The HTML file; DIR/report.html if not given.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write the figures as PNG into this folder, too.")] = None,
    megabytes: Annotated[float, typer.Option("--megabytes", min=0.5, help="How large the file may be.")] = 40.0,
    json: AsJson = False,
) -> None:
    """Write one HTML file that shows what a run did and why."""
    from augforge.cli.render.report import report_and_show

    report_and_show(folder, out, json, png=png, megabytes=megabytes)


app.command(name="lock")(lock_)
for _command_of_a_run in (rebuild, verify, diff, regen):
    app.command()(_command_of_a_run)
app.command()(export)
app.command(name="check-marks")(check_marks)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"augforge {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Synthesize and curate image datasets."""


def main() -> None:
    """The `augforge` command. Exit code 0: done; 2: mend it; 3: too many bad, or drift; 130: interrupted."""
    app()


if __name__ == "__main__":
    main()
