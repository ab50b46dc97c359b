"""What a change costs: nothing changed, one image more, another threshold.

    python benchmarks/incremental.py --images 100000 --add-to 10000

nothing changed   a second run over so many images, in a fresh process: seconds with the interpreter's start
one image more    of a source of `--add-to` images, through generate, filter and select: what is computed for it
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import parse_recipe

CLASSES = 10


def write(folder: Path, first: int, count: int, kind: str = "PNG") -> None:
    """Noise of 8x8 px, numbers `first` and on, in class folders."""
    draw = np.random.default_rng(first)
    for number in range(first, first + count):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, kind)
        (place / f"{number:06d}.{kind.lower()}").write_bytes(out.getvalue())


def nothing_changed(count: int, repeats: int) -> None:
    """Time runs in which nothing is new."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "data", 0, count)
        recipe = folder / "recipe.yaml"
        recipe.write_text(f"source: {{folder: {folder / 'data'}}}\nstages:\n  - {{filter: sharpness, keep: 0.9}}\n")
        command = [
            sys.executable,
            "-m",
            "augforge.cli.app",
            "rebuild",
            str(recipe),
            "--locked",
            "--out",
            str(folder / "out"),
        ]
        subprocess.run(
            [*command[:3], "run", str(recipe), "--out", str(folder / "out")], check=True, capture_output=True
        )
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - began)
        print(
            f"nothing changed, {count:,} images: {np.median(seconds):.2f} s (median of {repeats}, in fresh processes)"
        )


def one_more(count: int) -> None:
    """Say what one image more makes each stage compute."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "data", 0, count)
        recipe = parse_recipe(
            f"source: {{folder: {folder / 'data'}}}\nstages:\n"
            '  - {generate: augmented-conditioning, model: builtin-unclip, real-to-synthetic: "10:1", steps: 2}\n'
            "  - {filter: sharpness, keep: 0.9}\n  - {filter: clip, keep: 0.9}\n  - {select: random, share: 0.9}\n"
        )
        first = run(recipe, folder / "out", device="cpu")
        write(folder / "data", count, 1)
        began = time.perf_counter()
        second = run(recipe, folder / "out", device="cpu")
        seconds = time.perf_counter() - began
        print(f"one image more in a source of {count:,}: {seconds:.1f} s")
        for before, after in zip(first.work, second.work, strict=True):
            old, new = (sum(row.get(n, 0) for n in ("read", "generated", "measured")) for row in (before, after))
            print(f"  {after['stage']:<36} computed {new:,}, at first {old:,}")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--add-to", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    nothing_changed(given.images, given.repeats)
    one_more(given.add_to)


if __name__ == "__main__":
    main()
