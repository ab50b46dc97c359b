"""The first hour of a new user, on drawn shapes: every command is printed with what the user sees, and checked.

    python -m tests.first_hour [FOLDER]

Each step names what went wrong there before. About five minutes on two cores.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = ("tomato", "steelblue", "seagreen", "goldenrod", "orchid", "slategray")


@dataclass(frozen=True)
class Step:
    """A command with its exit code, texts that the user must see, and texts that must not be there."""

    about: str
    words: str
    code: int = 0
    shown: tuple[str, ...] = ()
    never: tuple[str, ...] = ("Traceback",)


def draw(kind: str, seed: int) -> Image.Image:
    """One simple shape on white, at a place, of a size and in a colour of its own."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (64, 64), "white")
    side, colour = int(random.integers(14, 30)), COLOURS[int(random.integers(len(COLOURS)))]
    left, top = (int(random.integers(2, 62 - side)) for _ in range(2))
    box, pen = (left, top, left + side, top + side), ImageDraw.Draw(image)
    if kind == "circle":
        pen.ellipse(box, fill=colour)
    elif kind == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(left, top + side), (left + side // 2, top), (left + side, top + side)], fill=colour)
    return image


def write_shapes(folder: Path) -> None:
    """`shapes` (three classes of 20, one of them in three modes, an empty class), `loose`, `nested` and `yolo`."""
    for number, kind in enumerate(("circle", "square", "triangle")):
        (folder / "shapes" / kind).mkdir(parents=True)
        for seed in range(20):
            mode = ("RGB", "L", "P")[seed % 3] if kind == "circle" else "RGB"
            draw(kind, 100 * number + seed).convert(mode).save(folder / "shapes" / kind / f"{seed:02}.png")
    (folder / "shapes" / "star").mkdir()
    (folder / "shapes" / "circle" / "notes.txt").write_text("drawn by hand")
    (folder / "loose").mkdir()
    for seed in range(6):
        draw("circle", seed).save(folder / "loose" / f"{seed}.png")
    for split in ("train", "val"):
        for what in ("images", "labels"):
            (folder / "yolo" / what / split).mkdir(parents=True)
        for seed in range(4):
            draw("circle", seed + 50 * (split == "val")).save(folder / "yolo" / "images" / split / f"{seed}.png")
            (folder / "yolo" / "labels" / split / f"{seed}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (folder / "yolo" / "data.yaml").write_text("names: [circle]\ntrain: images/train\nval: images/val\n")
    (folder / "broken" / "circle").mkdir(parents=True)
    draw("circle", 1).save(folder / "broken" / "circle" / "good.png")
    (folder / "broken" / "circle" / "bad.png").write_bytes(b"hello")


STEPS = (
    Step(
        "the first line says what was understood; an empty class and an unused file are named",
        "filter sharpness shapes --keep 0.5 --out runs/sharp",
        shown=("60 images", "3 classes", "no image of star", "1 file not used (1 .txt)", "no synthetic images: all 60"),
    ),
    Step("a second run computes nothing", "filter sharpness shapes --keep 0.5 --out runs/sharp", shown=("up to date",)),
    Step(
        "another number of the same recipe decides again, and the first line says what changed",
        "filter sharpness shapes --keep 0.75 --out runs/sharp",
        shown=("keep", "nothing was computed"),
    ),
    Step(
        "a run as its own source is refused",
        "filter sharpness runs/sharp --out runs/sharp",
        2,
        shown=("runs/sharp",),
    ),
    Step(
        "another command does not replace a finished run",
        "filter quality shapes --out runs/sharp",
        2,
        shown=("--replace", "--out"),
    ),
    Step("photographs' defaults throw away no good image", "filter quality shapes --out runs/quality", shown=("60",)),
    Step(
        "different drawings are no duplicates",
        "filter duplicates shapes --out runs/duplicates",
        shown=("images kept",),
    ),
    Step("images without class folders have no label", "plan loose.yaml --out runs/loose", shown=("6 unlabelled",)),
    Step(
        "a stage that can judge nothing says why at once",
        "filter clip loose --out runs/unlabelled",
        3,
        shown=("none of the 6 images has a label", "--allow-empty"),
    ),
    Step("new images, one for each class", "generate shifts shapes --per-class 1 --out runs/shifts", shown=("63",)),
    Step(
        "an amount that would take days is refused with an estimate",
        "generate shifts shapes --per-class 100000000 --out runs/many",
        2,
        shown=("100,000,000", "hours", "GB", "--yes"),
    ),
    Step("no negative balance", "generate shifts shapes --balance-to -5 --out runs/x", 2, shown=("balance-to",)),
    Step(
        "a width that the model cannot make",
        "generate text2img shapes --width 33 --model builtin-sd --out runs/x",
        2,
        shown=("multiple of 8",),
    ),
    Step("a device that is not here", "filter clip shapes --device cuda:7 --out runs/x", 2, shown=("--device cpu",)),
    Step("no such device", "filter clip shapes --device gpu --out runs/x", 2, shown=("cuda", "cpu")),
    Step(
        "a model of the hub, offline: one sentence at once",
        "generate text2img shapes --per-class 1 --out runs/x",
        2,
        shown=("builtin-sd",),
        never=("Traceback", "local_files_only"),
    ),
    Step("a wrong model: every way to name one", "filter clip shapes --model nope --out runs/x", 2, shown=("hub:",)),
    Step(
        "a class that the model never saw",
        "filter clip shapes --out runs/x",
        2,
        shown=("does not know 'circle'", "any-class"),
    ),
    Step("half a command", "gen", 2, shown=("did you mean 'generate'",)),
    Step(
        "a split says how many of each class are where",
        "split shapes --test 0.2 --out runs/split",
        shown=("circle", "train", "test"),
    ),
    Step(
        "one broken file costs its row, and is named",
        "filter sharpness broken --keep 1.0 --max-bad 0.6 --out runs/broken",
        shown=("circle/bad.png", "not an image"),
    ),
    Step("a wish to see first", "filter sharpness shapes --keep 0.5 --out runs/dry --dry-run", shown=("60",)),
    Step("quietly", "filter sharpness shapes --keep 0.5 --out runs/quiet --quiet"),
    Step(
        "validation images are never parents",
        "generate shifts yolo --per-class 2 --out runs/yolo",
        shown=("validation 4",),
    ),
    Step("one mode for a trainer", "export runs/sharp --to folder --image-mode RGB --size 32 --out out/sharp"),
    Step("the report", "report runs/shifts", shown=("report.html",)),
    Step("everything is sound", "verify runs/shifts", shown=("runs/shifts",)),
)


def run(step: Step, folder: Path) -> tuple[str, list[str]]:
    """What the user sees, and what is wrong with it."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "110", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "augforge", *step.words.split()]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seen = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    flat = " ".join(seen.split())
    wrong = [f"exit code {done.returncode}, not {step.code}"] if done.returncode != step.code else []
    wrong += [f"{text!r} is not shown" for text in step.shown if text not in flat]
    return seen, wrong + [f"{text!r} is shown" for text in step.never if text in flat]


def walk(folder: Path, tell: Callable[[str], None] = print) -> list[str]:
    """Take every step in `folder`; what went wrong."""
    write_shapes(folder)
    (folder / "loose.yaml").write_text("source: {folder: loose}\nstages:\n  - {filter: sharpness, keep: 0.5}\n")
    faults = []
    for number, step in enumerate(STEPS, start=1):
        seen, wrong = run(step, folder)
        tell(f"\n--- {number}. {step.about}\n$ augforge {step.words}\n{seen.rstrip()}")
        for fault in wrong:
            faults.append(f"{number}. augforge {step.words}: {fault}")
            tell(f"!!! {fault}")
    return faults


def main() -> int:
    """Walk, and say how it went."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True)
        faults = walk(folder)
    else:
        with tempfile.TemporaryDirectory() as name:
            faults = walk(Path(name))
    print(f"\n{len(STEPS)} steps, {len(faults)} faults", *faults, sep="\n")
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main())
