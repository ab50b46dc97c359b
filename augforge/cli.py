"""The command line. Every command is a few lines; what it does lies in the library, how it looks in `render`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from augforge import __version__
from augforge.catalog import STAGES, did_you_mean
from augforge.errors import AugforgeError, RecipeError
from augforge.export_commands import check_marks, export

EVALUATE = "evaluate"
SINGLE = {"pseudo-label": "confidence", "split": "near-duplicates"}
"""Verbs with a single stage, which need no name on the command line."""


def _command(verb: str, stage: str, name: str) -> Any:
    """The command `name` for a stage, made from its options."""
    from augforge.stage_commands import stage_command

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
            from augforge.evaluate_command import evaluate_command

            return _built(EVALUATE, evaluate_command())
        if cmd_name in SINGLE:
            return _command(cmd_name, SINGLE[cmd_name], cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AugforgeError as error:
            typer.echo(f"augforge: {error.message}", err=True)
            if error.hint:
                typer.echo(f"  {error.hint}", err=True)
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

Recipe = Annotated[Path, typer.Argument(help="A recipe in YAML, such as recipes/quickstart.yaml.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="The run folder; run again into it to go on.", show_default=False)]
Seed = Annotated[int | None, typer.Option("--seed", help="Use this seed instead of the recipe's.", show_default=False)]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Use only N source images.", show_default=False)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
MaxBad = Annotated[float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable source images allowed.")]
SharedStore = Annotated[
    Path | None, typer.Option("--store", help="Share embeddings between runs in this folder (or set AUGFORGE_STORE).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


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
    json: AsJson = False,
) -> None:
    """Run a recipe, going on with whatever is there, and write its lock (unless --limit or --seed make it another)."""
    from augforge import render
    from augforge.recipe import load_recipe

    options: dict[str, Any] = {"device": device, "limit": limit, "max_bad": max_bad, "store": store}
    beside = recipe.with_suffix(".lock") if lock and limit is None and seed is None else None
    render.run_and_show(load_recipe(recipe, seed), out, json, lock=beside, **options)


@app.command(name="lock")
def lock_(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option("--out", help="The run folder (runs/NAME if absent).")] = None,
    device: Device = "auto",
    store: SharedStore = None,
    json: AsJson = False,
) -> None:
    """Write the lock of a recipe: what its result depends on and what it is, to be committed."""
    from augforge import render_rebuild
    from augforge.recipe import load_recipe

    folder = out or Path("runs") / recipe.stem
    beside = recipe.with_suffix(".lock")
    render_rebuild.write_lock_and_show(load_recipe(recipe), beside, folder, json, device=device, store=store)


@app.command()
def rebuild(
    recipe: Recipe,
    out: Out,
    locked: Annotated[
        bool, typer.Option("--locked/--accept", help="Only compare with the lock, or write the new one over it.")
    ] = True,
    level: Annotated[
        str, typer.Option("--level", help="identity: ids, draws, counts; tolerance: pixels alike; bytes: equal.")
    ] = "identity",
    flips: Annotated[
        float,
        typer.Option("--flips", min=0, max=1, help="Share of samples whose fate may differ, for another processor."),
    ] = 0.0,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Reuse nothing that is in --out.")] = False,
    lock: Annotated[Path | None, typer.Option("--lock", help="The lock (beside the recipe if absent).")] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="For tolerance: a run folder whose pixels to compare with.")
    ] = None,
    psnr: Annotated[
        float | None, typer.Option("--psnr", help="With --reference: this many dB instead of 1/255.")
    ] = None,
    cosine: Annotated[
        float | None, typer.Option("--cosine", min=-1, max=1, help="With --reference: least cosine of embeddings.")
    ] = None,
    embedder: Annotated[str, typer.Option("--embedder", help="The model for --cosine.")] = "builtin-clip",
    device: Device = "auto",
    store: SharedStore = None,
    json: AsJson = False,
) -> None:
    """Build a recipe again and say what drifted from its lock, and why. Exit code 0: the same; 3: drift."""
    from augforge import render_rebuild
    from augforge.drift import check_level
    from augforge.engine.alike import Bounds
    from augforge.recipe import load_recipe

    options: dict[str, Any] = {
        "level": check_level(level),
        "flips": flips,
        "from_scratch": from_scratch,
        "reference": reference,
    }
    options |= {"bounds": Bounds(psnr, cosine, embedder), "device": device, "store": store}
    beside = lock or recipe.with_suffix(".lock")
    sys.exit(render_rebuild.rebuild_and_show(load_recipe(recipe), beside, out, not locked, json, **options))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    sample: Annotated[int, typer.Option("--sample", min=0, help="Make K synthetic images again and compare.")] = 0,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Check every digest and invariant of a run folder. Exit code 0: sound; 3: something is wrong."""
    from augforge import render_rebuild

    sys.exit(render_rebuild.verify_and_show(folder, sample, device, json))


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run folder.", show_default=False)],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="text, json or markdown (for a pull request).")] = "text",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 if anything differs.")] = False,
) -> None:
    """Say which rows of the dataset were added, removed and changed, by class and reason."""
    from augforge import render_rebuild
    from augforge.diff import check_form
    from augforge.diff import diff as compare

    found = compare(before, after)
    render_rebuild.show_diff(found, check_form(form))
    sys.exit(3 if exit_code and found.changes else 0)


@app.command()
def regen(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or its first digits.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="The PNG file to write (ID.png if absent).")] = None,
    device: Device = "auto",
) -> None:
    """Make one synthetic image again from its provenance. Exit code 0: within 1/255 of the first one; 3: not."""
    from augforge import render_rebuild

    sys.exit(render_rebuild.regen_and_show(folder, identity, out, device))


@app.command()
def check(recipe: Recipe) -> None:
    """Say whether a recipe is right."""
    from augforge import render
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
    from augforge.engine.plan import plan_run
    from augforge.recipe import load_recipe
    from augforge.render_plan import show_plan

    show_plan(plan_run(load_recipe(recipe, seed), out, limit), json)


@app.command()
def samples(
    name: Annotated[str, typer.Argument(help="Which sample data set: digits or streets.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.", show_default=False)],
    split: Annotated[str, typer.Option("--split", help="train or test.")] = "train",
) -> None:
    """Write a small real data set to start with."""
    from augforge import render
    from augforge.samples import write

    write(name, out, split)
    render.say(f"wrote the {split} split of {name} to {out}")


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="stages, models or recipes.")],
    json: AsJson = False,
) -> None:
    """List the stages, models or recipes there are."""
    from augforge import render
    from augforge.listing import listing

    render.show_listing(listing(what), json)


@app.command()
def why(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or its first digits.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Tell the life of one image, back to its files."""
    from augforge import render
    from augforge.lineage import life_of

    render.show_life(life_of(folder, identity), json)


@app.command()
def thresholds(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    measure: Annotated[list[str] | None, typer.Option("--measure", help="Only these measures.")] = None,
    minimum: Annotated[list[float] | None, typer.Option("--min", help="What this `min` would keep, too.")] = None,
    json: AsJson = False,
) -> None:
    """Show the histogram of every score, and what each cut would keep."""
    from augforge import render
    from augforge.engine.thresholds import thresholds as measured

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
    from augforge.render_report import report_and_show

    report_and_show(folder, out, json, png=png, megabytes=megabytes)


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
