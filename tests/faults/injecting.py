"""Faults put into a finished run folder, and whether the next run, a check or a reader notices and names them.

Each fault is a function that breaks the folder and says which file it broke. What must follow stands in `heal`: the
next run says the file's name, ends, and its result has the bytes that it had before.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.io import open_source
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.integrity import check_files
from tests.conftest import write_images

RESULT = ("samples.parquet", "recipe.yaml", "recipe.lock", "README.md", "certificates.json", "dataset/*")


@dataclass(frozen=True)
class Fault:
    """What is broken (a pattern in the run folder), how, and whether the next run looks at it at all."""

    pattern: str
    how: str
    seen_by_run: bool = True

    def __str__(self) -> str:
        return f"{self.how}: {self.pattern}"


FILES = (
    "parts/source/*.arrow",
    "parts/generate-*/*.arrow",
    "parts/filter-*/*.arrow",
    "parts/select-*/*.json",
    "vectors/*-text/*.arrow",
    "vectors/*[!t]/*.arrow",
    "samples.parquet",
    "dataset/*.arrow",
    "dataset/state.json",
    "dataset/dataset_info.json",
    "recipe.yaml",
    "recipe.lock",
    "README.md",
    "certificates.json",
    "run.json",
    "models/*/model.safetensors",
    "models/*/model.json",
)
NOT_LOOKED_AT = ("parts/generate-*/plan.json", "parts/generate-*/rate.json")
"""Files that a run reads only when there is something to make."""
FAULTS = [Fault(file, how) for how in ("a flipped byte", "truncated", "unreadable (EIO)") for file in FILES]
FAULTS += [Fault(file, how, False) for how in ("a flipped byte", "truncated") for file in NOT_LOOKED_AT]


USED_AGAIN = ("parts", "vectors", "models")


class Listening(Progress):
    """Remembers what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Remember it."""
        self.said.append(text)


def faulty_recipe(folder: Path, models: dict[str, str]) -> Recipe:
    """A recipe with a stage of every kind that leaves files, over a few pictures."""
    pictures = write_images(folder / "pictures", {"cat": 8, "dog": 6})
    clip, unclip = models["image-text"], models["conditioning"]
    stages = (
        build_stage("generate", "augmented-conditioning", {"model": unclip, "per-class": 4, "batch": 4, "steps": 1}),
        build_stage("filter", "sharpness", {"keep": 0.9}),
        build_stage("filter", "clip", {"model": clip, "keep": 0.9}),
        build_stage("train", "classifier", {"embedder": clip, "steps": 4, "batch": 4, "as": "judge"}),
        build_stage("select", "facility-location", {"model": clip, "share": 0.8}),
    )
    return Recipe("faulty", 1, (SourceSpec("folder", str(pictures)),), stages)


def contents(out: Path) -> dict[str, bytes]:
    """The bytes of every file of the result."""
    return {str(p.relative_to(out)): p.read_bytes() for pattern in RESULT for p in sorted(out.glob(pattern))}


def inject(fault: Fault, out: Path) -> str:
    """Break the largest file that fits; its name in the folder."""
    path = max(out.glob(fault.pattern), key=lambda p: p.stat().st_size)
    if fault.how.startswith("unreadable"):
        path.unlink()
        path.symlink_to("/proc/self/mem")  # reading its first byte is a real EIO
    elif fault.how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        flip(path)
    return str(path.relative_to(out))


def flip(path: Path, keep_time: bool = False) -> None:
    """Change one bit in the middle of a file."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@dataclass(frozen=True)
class Verdict:
    """What became of a fault: whether the check named the file, whether the next run did, and whether it healed."""

    checked: bool
    named: bool
    healed: bool
    said: str

    @property
    def good(self) -> bool:
        """Nothing was silent and nothing was lost."""
        return self.checked and self.named and self.healed


def try_fault(fault: Fault, recipe: Recipe, sound: Path, out: Path) -> Verdict:
    """Break a copy of a sound run folder, check it, run into it again, and compare the result with what it was."""
    shutil.copytree(sound, out)
    before, name = contents(out), inject(fault, out)
    checked = any(problem.path == _whose(name) for problem in check_files(out))
    if name.partition("/")[0] in USED_AGAIN:
        (out / "run.json").unlink()  # as where an option was changed: what the stages left is used again
    listening = Listening()
    try:
        run(recipe, out, device="cpu", progress=listening)
        error = ""
    except AugforgeError as caught:
        error = caught.message
    said = " | ".join([*listening.said, error])
    named = not fault.seen_by_run or Path(name).stem in said or str(Path(name).parent) in said
    return Verdict(checked, named, contents(out) == before and not error, said)


def _whose(name: str) -> str:
    """The file under which the check reports a damaged one: a model's weights under its record."""
    return name.replace("model.safetensors", "model.json")


def readable_as_source(out: Path) -> str:
    """What a run folder says when it is read as a source: "" if all its kept bytes are those of the ledger."""
    from augforge.data.store import Store
    from augforge.engine.ingest import known_samples
    from augforge.engine.pixels import Pixels

    try:
        source = open_source("run", str(out))
        ledger, _ = known_samples([source], Store(out))
        pixels = Pixels([source])
        for sample in ledger.samples(ledger.visible()):
            pixels.bytes_of(sample)
    except AugforgeError as error:
        return error.message
    return ""
