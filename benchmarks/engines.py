"""What an engine costs: seconds to the first part, images a second beside `local`, and units handed out a second.

    python -m benchmarks.throughput --make 20000 --data FOLDER --photos PHOTOS
    python -m benchmarks.engines --data FOLDER --workers 2

The same recipe (`filter quality` over WebDataset shards) runs by each engine in turn, three times round; a unit of the
hand-out has one item, and nothing is done with it, so that only the driver and the messages cost anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from augforge.data.parts import Parts
from augforge.engine.engines.choose import engine_of
from augforge.engine.pixels import Pixels
from augforge.engine.run import run
from augforge.engine.work import Place
from augforge.progress import Bar, Progress
from augforge.recipe import parse_recipe
from benchmarks.nothing import Nothing

ROUNDS = 3
UNITS = 5000


class FirstAdvance(Progress):
    """When the first bar was opened, when it first advanced, and when it ended."""

    def __init__(self) -> None:
        self.opened = self.first = self.ended = 0.0

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """The first bar is the one that is timed."""
        if self.opened:
            with super().bar(title, total, unit) as shown:
                yield shown
            return
        self.opened = time.monotonic()
        yield _Timed(self)
        self.ended = time.monotonic()


class _Timed(Bar):
    def __init__(self, of: FirstAdvance) -> None:
        self._of = of

    def advance(self, count: int = 1) -> None:
        self._of.first = self._of.first or time.monotonic()


def measured(data: Path, engine: str, workers: int, out: Path) -> tuple[float, float, float]:
    """Seconds from the call to the first images, from there to the end of the bar, and in all."""
    plain = {"name": "engines", "source": {"webdataset": str(data)}, "stages": [{"filter": "quality"}]}
    shutil.rmtree(out, ignore_errors=True)
    told, began = FirstAdvance(), time.monotonic()
    run(parse_recipe(json.dumps(plain)), out, progress=told, engine=engine_of(engine, workers=workers))
    return told.first - told.opened, told.ended - told.opened, time.monotonic() - began


def handed_out(engine: str, workers: int) -> float:
    """Units a second."""
    one = engine_of(engine, workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder), pa.schema([("id", pa.string())]), "id", print)
        place = Place(Pixels([]), "cpu", Progress())
        one.run(Nothing(), range(10), 10, parts, place)  # the workers are there
        began = time.monotonic()
        one.run(Nothing(), range(UNITS), UNITS, parts, place)
        seconds = time.monotonic() - began
    one.close()
    return UNITS / seconds


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", nargs="+", default=["local", "processes", "ray"])
    given = parser.parse_args()
    engines = [(name, 1 if name == "local" else given.workers) for name in given.engines]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name, _ in engines}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, workers in engines:
                found[name].append(measured(given.data, name, workers, Path(folder) / "out"))
    base = statistics.median(whole for _, whole, _ in found["local"])
    print("| engine | to the first images, s | the bar, s | rate beside local | in all, s |\n|---|---|---|---|---|")
    for name, rows in found.items():
        first, whole, everything = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {first:.1f} | {whole:.1f} | {base / whole:.2f} | {everything:.1f} |")
    for name, workers in engines[1:]:
        print(f"{name}: {handed_out(name, workers):,.0f} units a second, with nothing to do in each")


if __name__ == "__main__":
    main()
