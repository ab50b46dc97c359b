"""What to type next: commands with the real paths, each with what it is for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from augforge.cli.render.base import say
from augforge.optional import installed
from augforge.stages.catalog import STAGES

Step = tuple[tuple[str | Path, ...], str]
"""The words of a command after `augforge`, and what it is for."""


def say_next(steps: Sequence[Step]) -> None:
    """Print commands in a column, each with what it is for; nothing if there are none."""
    lines = [(f"augforge {shlex.join(map(str, words))}", purpose) for words, purpose in steps]
    width = max((len(command) for command, _ in lines), default=0)
    for place, (command, purpose) in enumerate(lines):
        say(f"{'' if place else 'next:':<5} {command:<{width}}  {purpose}")


def after_run(place: str) -> list[Step]:
    """What to do with a run, in a folder or at a URL."""
    from augforge.data.places import folder_to_write

    view: list[Step] = [(("view", place), "its images in the browser, to look and decide")]
    return [
        (("report", place), "what it did and why, on one page"),
        *(view if installed("starlette") and installed("uvicorn") else ()),
        (("why", place, first_id(folder_to_write(place))), "the history of one image"),
    ]


def say_what_is_earlier(place: str) -> None:
    """Say which of the evaluation and the report in a run folder are of an earlier result; nothing if none is."""
    from augforge.data.places import folder_to_write

    folder = folder_to_write(place)
    names = [name for name, earlier in (("evaluation.json", _evaluated), ("report.html", _reported)) if earlier(folder)]
    if names:
        verb = "is" if len(names) == 1 else "are"
        say(f"{' and '.join(names)} there {verb} of an earlier result")


def _evaluated(folder: Path) -> bool:
    """Whether the evaluation says that it is of another result."""
    from augforge.data.record import ledger_digest

    try:
        record = json.loads((folder / "evaluation.json").read_bytes())
        return bool(ledger_digest(folder) != record["samples-sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False  # none, or it does not say


def _reported(folder: Path) -> bool:
    """Whether the report is older than the result."""
    report, result = folder / "report.html", folder / "samples.parquet"
    return report.is_file() and report.stat().st_mtime_ns < result.stat().st_mtime_ns


MAKERS = {"diffusion": "outpaint"}
"""The generator that uses a trainer's models, where it has another name."""


def after_training(trainer: str, folder: Path) -> list[Step]:
    """What to do with a model that was trained: make images with it, or judge them where no generator is for it."""
    if trainer == "lora":
        return [(("generate", "text2img", "SOURCE", "--lora", folder, "--out", "DIR"), "make images with it")]
    name = MAKERS.get(trainer, trainer)
    makes = ("generate", name) in STAGES
    verb, purpose = ("generate", "make images with it") if makes else ("filter", "judge images by it")
    return [((verb, name, "SOURCE", "--model", folder, "--out", "DIR"), purpose)]


def first_id(folder: Path) -> str:
    """The first digits of the id of an image to begin with: one that was made and kept, else any."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "samples.parquet", columns=["id", "origin", "kept"])
    if not len(rows):
        return "ID"
    made = pc.and_(pc.not_equal(rows.column("origin"), "real"), rows.column("kept"))
    place = pc.index(made, True).as_py()
    return str(rows.column("id")[max(0, place)].as_py())[:8]
