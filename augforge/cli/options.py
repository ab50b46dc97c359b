"""Arguments and options that several commands have, and the panels of help that they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from augforge.cli.completion import among, recipe_files

RUN = "Run"
"""The panel of the options about how, not what, something is run."""
WHERE = "Where it runs"
"""The panel of the options about processes and machines."""

Recipe = Annotated[
    Path,
    typer.Argument(
        help="A recipe in YAML, such as recipes/quickstart.yaml.", show_default=False, autocompletion=recipe_files
    ),
]


def to_write(place: str) -> Path:
    """The folder of a run; of a URL, the one on this machine that mirrors it. Nothing is asked of the store."""
    from augforge.data.places import folder_to_write

    return folder_to_write(place)


def as_it_is(folder: Path) -> Path:
    """The folder of a run that is to be read: that of a URL is brought to the state of the bucket first."""
    from augforge.data.places import brought_up

    return brought_up(folder)


def here(place: str) -> Path:
    """A path of this machine, where something else than a run is written."""
    from augforge.data.places import on_disk

    return on_disk(place)


HERE: dict[str, Any] = {"parser": here, "metavar": "PATH"}
TO_WRITE: dict[str, Any] = {"parser": to_write, "metavar": "PATH"}
"""Of an option or argument: how its text becomes a path."""
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False, parser=to_write)]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        help="The run folder, or s3://BUCKET/RUN (gs://, az://); run the same command again to resume.",
        show_default=False,
        **TO_WRITE,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Use this seed instead of the recipe's.", show_default=False, rich_help_panel=RUN),
]
DrawSeed = Annotated[
    int, typer.Option("--seed", help="Random seed: the same one gives the same result.", rich_help_panel=RUN)
]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="NAMES",
        help="Refuse models of other licences: apache-2.0,openrail (all OpenRAIL).",
        show_default=False,
        rich_help_panel=RUN,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Use only N source images.", show_default=False, rich_help_panel=RUN),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:N (one GPU of several) or mps.",
        autocompletion=among("auto", "cpu", "cuda", "mps"),
        rich_help_panel=RUN,
    ),
]
MaxBad = Annotated[
    float,
    typer.Option("--max-bad", min=0, max=1, help="Share of unusable source images allowed.", rich_help_panel=RUN),
]
SharedStore = Annotated[
    Path | None,
    typer.Option(
        "--store",
        **HERE,
        help="Share embeddings between runs in this folder (or set AUGFORGE_STORE).",
        rich_help_panel=RUN,
    ),
]
Retry = Annotated[
    str | None,
    typer.Option(
        "--retry",
        metavar="failed",
        help="`failed` retries what failed, and nothing else.",
        autocompletion=among("failed"),
        rich_help_panel=RUN,
    ),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", help="Insist on more new images than are made without asking."),
]
Flat = Annotated[
    bool,
    typer.Option(
        "--flat", help="Write dataset/ as one Dataset, splits in a column; else a DatasetDict.", rich_help_panel=RUN
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="local, processes (of this machine), ray (a cluster) or slurm (one task of an array job).",
        autocompletion=among("local", "processes", "ray", "slurm"),
        rich_help_panel=WHERE,
    ),
]
OneMachine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="local or processes: what reads and hashes files.",
        autocompletion=among("local", "processes"),
        rich_help_panel=WHERE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=65_536,
        help="How many; else as many as there is room for. More than 1 without --engine are processes.",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Of ray: auto, ray://HOST:PORT or HOST:PORT; else Ray is started here.",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker",
        min=0.01,
        max=64,
        help="Of ray: GPUs of a worker with a model; 0.5 for two on one (1 if absent).",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
Mixed = Annotated[
    bool,
    typer.Option("--mixed", help="Of ray: workers may have devices of different kinds.", rich_help_panel=WHERE),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=RUN)]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only say what would be done; nothing is written.", rich_help_panel=RUN),
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", "--force", help="Write over what another command or recipe left in --out.", rich_help_panel=RUN
    ),
]
AllowEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-empty",
        help="Go on where a stage leaves, makes or can judge no image; else exit code 3.",
        rich_help_panel=RUN,
    ),
]
