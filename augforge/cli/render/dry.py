"""What a command would do, shown in place of doing it: nothing is written, and no model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from augforge.cli.render.base import print_json, say
from augforge.cli.render.plan import show_plan

if TYPE_CHECKING:
    from augforge.evaluate.settings import Settings
    from augforge.publish.export import Exported
    from augforge.recipe import Recipe

NOTHING = "nothing was written: --dry-run"


def show_run(recipe: Recipe, out: Path, as_json: bool, *, replace: bool, limit: int | None) -> None:
    """The plan of a run, after everything that would refuse it before it begins."""
    from augforge.engine.guards import compared, refuse_touching
    from augforge.engine.plan import plan_run

    refuse_touching(recipe, out)
    found = compared(recipe, out, replace)
    keeps = found is None or found.same
    rows = plan_run(recipe, out if keeps else None, limit)
    if not as_json and found is not None:
        _say_change(out, keeps, found.sentence())
    show_plan(rows, as_json)
    _say_nothing(as_json)


def _say_change(out: Path, keeps: bool, changes: str) -> None:
    if not keeps:
        say(f"{out}: the result of another recipe would be replaced")
    elif changes:
        say(f"{out}, changed since its last run: {changes}")


def show_training(recipe: Recipe, out: Path, as_json: bool, limit: int | None) -> None:
    """The plan of a training, after everything that would refuse it before it begins."""
    from augforge.engine.guards import refuse_touching
    from augforge.engine.plan import plan_run
    from augforge.engine.runners.train import check_folder

    check_folder(out)
    refuse_touching(recipe, out)
    show_plan(plan_run(recipe, None, limit), as_json)
    _say_nothing(as_json)


def show_export(done: Exported) -> None:
    """What an export would write."""
    kinds = f"{done.real:,} real, {done.synthetic:,} synthetic"
    show_file(Path(done.out), f"{done.rows:,} images as {done.format}: {kinds}")


def show_evaluation(folder: Path, settings: Settings, as_json: bool) -> None:
    """The arms of an evaluation, and how many trainings it takes."""
    from augforge.evaluate.evaluation import planned_arms

    arms = planned_arms(folder, settings)
    trainings = len(arms) * settings.seeds
    if as_json:
        print_json({"arms": arms, "seeds": settings.seeds, "trainings": trainings})
        return
    for name, images in arms.items():
        say(f"  {name:<24} {images:,} images")
    say(f"{trainings:,} trainings: {len(arms)} arms, {settings.seeds} seeds")
    say(NOTHING)


def show_file(path: Path, what: str, as_json: bool = False) -> None:
    """The file or folder that would be written."""
    if as_json:
        print_json({"path": str(path), "what": what})
        return
    say(f"{path}: {what}")
    say(NOTHING)


def _say_nothing(as_json: bool) -> None:
    if not as_json:
        say(NOTHING)
