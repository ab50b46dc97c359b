"""How fast translators learn: images a second in training, full precision against bf16, and a picture at the end.

    python benchmarks/training_speed.py --device cuda --picture night.png        about four minutes
    python benchmarks/training_speed.py --smoke                                  toy sizes

Night is hedngan at 256 px, paired is pix2pixHD at 512 px, both of their published widths, on the drawn streets. The
precisions take turns of a few seconds each; the first steps of a turn do not count. With the time that is left hedngan
learns in the faster precision, for as many steps as fit, at most `--picture-seconds`; its sample sheet is the picture.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device_speed import on_device
from figures import Figures

from augforge.engine.runners.train import train_alone
from augforge.io.sample_sets import write
from augforge.progress import Bar, Progress
from augforge.recipe import Recipe, SourceSpec, build_stage

PRECISIONS = ("fp32", "bf16")
TOY = {"width": 4, "blocks": 1, "batch": 2}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "hedngan": (
        "night",
        {"size": 256, "width": 64, "blocks": 9, "batch": 4},
        {**TOY, "size": 32},
    ),
    "pix2pixhd": (
        "paired",
        {"size": 512, "width": 64, "blocks": 9, "downs": 4, "scales": 2, "batch": 4, "instances": True},
        {**TOY, "size": 32, "downs": 1, "scales": 1, "instances": True},
    ),
}
"""The trainer, its options at real size and at toy size, by architecture."""
UNCOUNTED = 2
"""Looks at the losses that do not count: the first steps choose algorithms and fill caches."""
FOR_THE_REST = 0.9
"""Of the time that is left, what the last training plans with; ending it takes some seconds."""


class Enough(Exception):
    """The steps so far tell the rate."""


class Clock(Progress):
    """Notes when the losses were looked at, which waits for the device, and stops the training in time."""

    def __init__(self, seconds: float, uncounted: int) -> None:
        self._seconds, self._begun, self._uncounted = seconds, 0.0, uncounted
        self._images = 0
        self.looks: list[tuple[float, int]] = []

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """A bar whose training ends by `Enough`."""
        yield Counting(self) if title.startswith("train") else Bar()

    def advance(self, count: int) -> None:
        """`count` more images were learned from."""
        self._begun = self._begun or time.monotonic()
        self._images += count
        if len(self.looks) > self._uncounted + 1 and time.monotonic() - self._begun > self._seconds:
            raise Enough

    def look(self) -> None:
        """The device has done all that was asked of it so far."""
        self.looks.append((time.monotonic(), self._images))

    @property
    def rate(self) -> float:
        """Images a second, of the looks that count."""
        (start, before), (end, after) = self.looks[self._uncounted], self.looks[-1]
        return (after - before) / (end - start)


class Counting(Bar):
    """The bar of one training."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def advance(self, count: int = 1) -> None:
        """So many images more."""
        self._clock.advance(count)

    def note(self, text: str) -> None:
        """The losses were looked at."""
        self._clock.look()


def main() -> None:
    """Rates of all cases, then the picture."""
    given = _parser().parse_args()
    figures, until = Figures(given.json), time.monotonic() + given.seconds
    turn = 0.1 if given.smoke else given.turn_seconds
    with tempfile.TemporaryDirectory() as folder:
        write("streets", Path(folder) / "streets")
        rates = {}
        for arch in CASES:
            rates[arch] = {name: rate_of(arch, name, Path(folder), given, turn, figures) for name in PRECISIONS}
            slow, fast = (rates[arch][name] for name in PRECISIONS)
            figures.note(f"{arch}: bf16 learns from {fast / slow:.2f} times as many images a second as fp32.")
        if given.picture:
            precision, rate = max(rates["hedngan"].items(), key=lambda item: item[1])
            seconds = min(FOR_THE_REST * (until - time.monotonic()), 1.0 if given.smoke else given.picture_seconds)
            picture(Path(folder), given, precision, max(1.0, seconds) * rate, figures)


def rate_of(arch: str, precision: str, folder: Path, given: argparse.Namespace, turn: float, figures: Figures) -> float:
    """Images a second in training, over about `turn` seconds, after the first steps."""
    clock = Clock(turn, 0 if given.smoke else UNCOUNTED)

    def learn() -> None:
        try:
            train(arch, folder, given, {"precision": precision, "steps": 1_000_000}, clock)
        except Enough:
            return
        raise AssertionError("a million steps in seconds")

    _, peak = on_device(learn, given.device)
    options = CASES[arch][2 if given.smoke else 1]
    memory = peak / 2**30 if given.device == "cuda" else None
    shown = {"size": options["size"], "batch": options["batch"], "precision": precision}
    figures.row("training", model=arch, **shown, **{"images/s": clock.rate, "GiB": memory})
    print(f"{arch} {precision}: {clock.rate:.1f} images/s", flush=True)
    return clock.rate


def picture(folder: Path, given: argparse.Namespace, precision: str, images: float, figures: Figures) -> None:
    """Train hedngan on so many images, keep its sample sheet, and say what was measured of it."""
    options = CASES["hedngan"][2 if given.smoke else 1]
    steps, started = max(4, int(images / options["batch"])), time.monotonic()
    settings = {"precision": precision, "steps": steps, "eval_every": steps}
    record = train("hedngan", folder, given, settings, Progress(), folder / "night")
    shutil.copyfile(folder / "night" / "samples.png", given.picture)
    measured = ", ".join(f"{name} {value:.2f}" for name, value in record["measured"].items())
    seconds = time.monotonic() - started
    figures.note(
        f"hedngan at {options['size']} px after {steps:,} steps in {precision}, {seconds:.0f} s in all: {measured} "
        f"({given.picture.name})."
    )


def train(
    arch: str,
    folder: Path,
    given: argparse.Namespace,
    settings: dict[str, Any],
    progress: Progress,
    out: Path | None = None,
) -> dict[str, Any]:
    """Train one model; its record."""
    trainer, real, toy = CASES[arch]
    streets = folder / "streets"
    sources = tuple(SourceSpec("folder", str(streets / name), {"class": name}) for name in ("day", "night"))
    if trainer == "paired":
        sources = (SourceSpec("folder", str(streets / "day"), {"masks": str(streets / "masks")}),)
    options = {"arch": arch, "checkpoint_every": 1_000_000, "eval_every": 1_000_000, **(toy if given.smoke else real)}
    stage = build_stage("train", trainer, {name.replace("_", "-"): v for name, v in {**options, **settings}.items()})
    with tempfile.TemporaryDirectory() as temporary:
        place = out or Path(temporary) / "model"
        return train_alone(Recipe("speed", 1, sources, (stage,)), place, device=given.device, progress=progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=240.0, help="all together")
    parser.add_argument("--turn-seconds", type=float, default=8.0, help="of training that is timed, each")
    parser.add_argument("--picture-seconds", type=float, default=180.0, help="of training for the picture, at most")
    parser.add_argument("--picture", type=Path, help="file for the sample sheet; none is made without it")
    parser.add_argument("--smoke", action="store_true", help="toy sizes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


if __name__ == "__main__":
    main()
