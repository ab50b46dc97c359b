"""Train every translator at a small size and say what came out.

    python benchmarks/translators.py
    python benchmarks/translators.py --archs hedngan --night frames --size 256 --width 64 --blocks 9 --device cuda

Night: the distance of translated day pictures to real nights, and that of the same days given the nights' histogram
(0 is alike); mean luminance over that of real nights (1 is alike), and how much of the day's edges is found again (1
all, 0 none). The last two alone also praise a drawing of edges. pix2pixHD: L1 on scenes that were held out, against the
mean training image. Both: how much more of a grid of 2 or 4 px there is than in real pictures. `--minutes` stops no
training: a line that took longer is marked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from augforge.engine.runners.train import train_alone
from augforge.io.sample_sets import write
from augforge.recipe import Recipe, SourceSpec, build_stage

ARCHS = ("hedngan", "hedgan", "cyclegan", "cut")
PAIRED = ("pix2pixhd", "pix2pixhd-local")
PIXELS = {"pixel-weight": 50, "rate": 1e-3}


def train(verb_name: str, options: dict[str, Any], sources: tuple[SourceSpec, ...], device: str) -> dict[str, Any]:
    """Train one model in a folder of its own; what was measured, seconds and images a second."""
    with tempfile.TemporaryDirectory() as folder:
        stage = build_stage("train", verb_name, options)
        started = time.monotonic()
        record = train_alone(Recipe("benchmark", 1, sources, (stage,)), Path(folder) / "model", device=device)
        seconds = time.monotonic() - started
    return {**record["measured"], "seconds": seconds, "images/s": record["steps"] * record["batch"] / seconds}


def report(title: str, row: dict[str, Any], minutes: float) -> None:
    """One line a training."""
    late = "  (over the time)" if row["seconds"] > 60 * minutes else ""
    print(f"{title:<28}" + "  ".join(f"{name} {value:.3f}" for name, value in row.items()) + late, flush=True)


def main() -> None:
    """Train what was asked for, print a line each, and all of it as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="*", default=[*ARCHS, *PAIRED], choices=[*ARCHS, *PAIRED])
    parser.add_argument("--night", type=Path, help="a folder with day/ and night/; the drawn streets if absent")
    parser.add_argument("--pairs", type=Path, help="a folder with images/ and masks/; the drawn streets if absent")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--upsampling", choices=["resize", "transposed"], default="resize")
    parser.add_argument("--darken-weight", type=float, default=0.0, help="of the night trainings")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    names = ("size", "width", "blocks", "steps", "batch", "precision", "rate", "upsampling")
    common = {name: getattr(given, name) for name in names}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        streets = Path(folder) / "streets"
        write("streets", streets)
        frames = given.night or streets
        days = tuple(SourceSpec("folder", str(frames / name), {"class": name}) for name in ("day", "night"))
        pairs = (
            SourceSpec("folder", str(given.pairs))
            if given.pairs
            else SourceSpec("folder", str(streets / "day"), {"masks": str(streets / "masks")})
        )
        for arch in given.archs:
            if arch in ARCHS:
                dark = {"darken-weight": given.darken_weight}
                rows[arch] = train("night", {**common, **dark, "arch": arch}, days, given.device)
            else:
                downs = {"downs": 2 if given.size < 256 else 4}
                rows[arch] = train(
                    "paired", {**common, **downs, **PIXELS, "arch": arch, "instances": True}, (pairs,), given.device
                )
            report(arch, rows[arch], given.minutes)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
