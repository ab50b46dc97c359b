"""The commands about recipes: run, check, plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from augforge.cli.licences import refuse_others
from augforge.cli.options import (
    TO_WRITE,
    Address,
    AllowEmpty,
    AsJson,
    Device,
    DryRun,
    EngineName,
    Flat,
    GpusPerWorker,
    Licence,
    Limit,
    MaxBad,
    Mixed,
    Out,
    Recipe,
    Replace,
    Retry,
    Seed,
    SharedStore,
    Workers,
    Yes,
)


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
    allow_empty: AllowEmpty = False,
    dry_run: DryRun = False,
    replace: Replace = False,
    yes: Yes = False,
    flat: Flat = False,
    json: AsJson = False,
    engine: EngineName = "local",
    workers: Workers = None,
    address: Address = None,
    gpus_per_worker: GpusPerWorker = None,
    mixed: Mixed = False,
    licence: Licence = None,
) -> None:
    """Run a recipe, resuming from what is there, and write its lock (unless --limit or --seed make it another)."""
    from augforge.cli.render import run as render
    from augforge.recipe import load_recipe

    options: dict[str, Any] = {
        "device": device,
        "limit": limit,
        "max_bad": max_bad,
        "store": store,
        "retry": retry,
        "yes": yes,
        "flat": flat,
    }
    options |= {"allow_empty": allow_empty, "dry_run": dry_run, "replace": replace}
    options |= {"engine": engine, "workers": workers, "address": address}
    options |= {"gpus_per_worker": gpus_per_worker, "mixed": mixed}
    loaded = load_recipe(recipe, seed)
    refuse_others(loaded.stages, licence)
    beside = recipe.with_suffix(".lock") if lock and limit is None and seed is None else None
    render.run_and_show(loaded, out, json, lock=beside, **options)


def check(recipe: Recipe, licence: Licence = None) -> None:
    """Validate a recipe, and say what its models need and allow; none is loaded."""
    from augforge.cli.render import run as render
    from augforge.recipe import load_recipe
    from augforge.review.follow import check_reviews

    loaded = load_recipe(recipe)
    refuse_others(loaded.stages, licence)
    check_reviews(loaded.stages, loaded.folder)
    render.show_checked(recipe, loaded)


def plan(
    recipe: Recipe,
    out: Annotated[
        Path | None,
        typer.Option("--out", **TO_WRITE, help="The run folder, to see what can be reused."),
    ] = None,
    limit: Limit = None,
    seed: Seed = None,
    yes: Yes = False,
    json: AsJson = False,
    licence: Licence = None,
) -> None:
    """Say what a run would do, without loading a model."""
    from augforge.cli.render.plan import show_plan
    from augforge.engine.plan import plan_run
    from augforge.recipe import load_recipe

    loaded = load_recipe(recipe, seed)
    refuse_others(loaded.stages, licence)
    show_plan(plan_run(loaded, out, limit, yes=yes), json)
