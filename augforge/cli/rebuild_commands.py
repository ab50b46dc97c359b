"""The commands about locks and finished runs: lock, rebuild, verify, diff, regen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from augforge.cli.completion import among, models_for
from augforge.cli.options import (
    HERE,
    TO_WRITE,
    Address,
    AllowEmpty,
    AsJson,
    Device,
    DryRun,
    EngineName,
    Folder,
    GpusPerWorker,
    MaxBad,
    Mixed,
    OneMachine,
    Out,
    Recipe,
    Replace,
    SharedStore,
    Workers,
    Yes,
    as_it_is,
    to_write,
)

Level = Annotated[
    str,
    typer.Option(
        "--level",
        help="identity: ids, sampled parameters, counts; tolerance: pixels alike; bytes: equal.",
        autocompletion=among("identity", "tolerance", "bytes"),
    ),
]


def lock_(
    recipe: Recipe,
    out: Annotated[
        Path | None,
        typer.Option("--out", **TO_WRITE, help="The run folder (runs/NAME if absent)."),
    ] = None,
    device: Device = "auto",
    max_bad: MaxBad = 0.1,
    store: SharedStore = None,
    allow_empty: AllowEmpty = False,
    dry_run: DryRun = False,
    replace: Replace = False,
    yes: Yes = False,
    json: AsJson = False,
    engine: EngineName = "local",
    workers: Workers = None,
    address: Address = None,
    gpus_per_worker: GpusPerWorker = None,
    mixed: Mixed = False,
) -> None:
    """Write the lock of a recipe: what its result depends on and what it is, to be committed."""
    from augforge.cli.render import rebuild as render_rebuild
    from augforge.recipe import load_recipe

    options: dict[str, Any] = {"device": device, "max_bad": max_bad, "store": store, "yes": yes}
    folder = out or Path("runs") / recipe.stem
    options |= {"allow_empty": allow_empty, "dry_run": dry_run, "replace": replace}
    options |= {"engine": engine, "workers": workers, "address": address}
    options |= {"gpus_per_worker": gpus_per_worker, "mixed": mixed}
    render_rebuild.write_lock_and_show(load_recipe(recipe), recipe.with_suffix(".lock"), folder, json, **options)


def rebuild(
    recipe: Recipe,
    out: Out,
    locked: Annotated[
        bool, typer.Option("--locked/--accept", help="Only compare with the lock, or write the new one over it.")
    ] = True,
    level: Level = "identity",
    flips: Annotated[
        float | None,
        typer.Option(
            "--flips",
            min=0,
            max=1,
            help="Share of samples whose outcome may differ (0.02 of a lock from another machine or versions, else 0).",
        ),
    ] = None,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Reuse nothing that is in --out.")] = False,
    lock: Annotated[Path | None, typer.Option("--lock", help="The lock (beside the recipe if absent).")] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            **TO_WRITE,
            help="For tolerance: a run folder whose pixels to compare with.",
        ),
    ] = None,
    psnr: Annotated[
        float | None, typer.Option("--psnr", min=0, max=1000, help="With --reference: this many dB instead of 1/255.")
    ] = None,
    cosine: Annotated[
        float | None, typer.Option("--cosine", min=-1, max=1, help="With --reference: least cosine of embeddings.")
    ] = None,
    embedder: Annotated[
        str, typer.Option("--embedder", help="The model for --cosine.", autocompletion=models_for("image-embedding"))
    ] = "builtin-clip",
    device: Device = "auto",
    max_bad: MaxBad = 0.1,
    store: SharedStore = None,
    allow_empty: AllowEmpty = False,
    dry_run: DryRun = False,
    replace: Replace = False,
    yes: Yes = False,
    json: AsJson = False,
    engine: EngineName = "local",
    workers: Workers = None,
    address: Address = None,
    gpus_per_worker: GpusPerWorker = None,
    mixed: Mixed = False,
) -> None:
    """Build a recipe again and say what drifted from its lock, and why. Exit code 0: the same; 3: drift."""
    from augforge.cli.render import rebuild as render_rebuild
    from augforge.provenance.drift import check_level
    from augforge.recipe import load_recipe
    from augforge.reproduce.alike import Bounds

    options: dict[str, Any] = {
        "level": check_level(level),
        "flips": flips,
        "from_scratch": from_scratch,
        "reference": None if reference is None else as_it_is(reference),
    }
    options |= {
        "bounds": Bounds(psnr, cosine, embedder),
        "device": device,
        "max_bad": max_bad,
        "store": store,
        "yes": yes,
    }
    options |= {"allow_empty": allow_empty, "dry_run": dry_run, "replace": replace}
    options |= {"engine": engine, "workers": workers, "address": address}
    options |= {"gpus_per_worker": gpus_per_worker, "mixed": mixed}
    loaded = load_recipe(recipe)
    beside = lock or recipe.with_suffix(".lock")
    sys.exit(render_rebuild.rebuild_and_show(loaded, beside, out, not locked, json, **options))


def verify(
    folder: Folder,
    sample: Annotated[int, typer.Option("--sample", min=0, help="Make K synthetic images again and compare.")] = 0,
    device: Device = "auto",
    json: AsJson = False,
    engine: OneMachine = "local",
    workers: Workers = None,
) -> None:
    """Check every digest and invariant of a run folder. Exit code 0: sound; 3: something is wrong."""
    from augforge.cli.render import rebuild as render_rebuild

    sys.exit(render_rebuild.verify_and_show(as_it_is(folder), sample, device, json, engine=engine, workers=workers))


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run folder.", show_default=False, parser=to_write)],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.", show_default=False, parser=to_write)],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="text, json or markdown (for a pull request).",
            autocompletion=among("text", "json", "markdown"),
        ),
    ] = "text",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 if anything differs.")] = False,
) -> None:
    """Say which rows of the dataset were added, removed and changed, by class and reason."""
    from augforge.cli.render import rebuild as render_rebuild
    from augforge.provenance.diff import check_form
    from augforge.provenance.diff import diff as compare

    found = compare(as_it_is(before), as_it_is(after))
    render_rebuild.show_diff(found, check_form(form))
    sys.exit(3 if exit_code and found.changes else 0)


def regen(
    folder: Folder,
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or its first digits.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", **HERE, help="The PNG file to write (ID.png if absent)."),
    ] = None,
    device: Device = "auto",
    dry_run: DryRun = False,
    replace: Replace = False,
) -> None:
    """Make one synthetic image again from its provenance. Exit code 0: within 1/255 of the first one; 3: not."""
    from augforge.cli.render import rebuild as render_rebuild

    sys.exit(render_rebuild.regen_and_show(as_it_is(folder), identity, out, device, dry_run=dry_run, replace=replace))
