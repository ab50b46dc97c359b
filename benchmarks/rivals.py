"""The same small JPEGs through augforge, a plain loop, datatrove and Data-Juicer in turns: wall and CPU seconds.

    python -m benchmarks.rivals --data FOLDER --data-juicer DJ_PROCESS --datatrove PYTHON --rounds 3

FOLDER has the shards of `benchmarks.throughput --make`. PYTHON is one that has datatrove beside augforge, DJ_PROCESS
the command `dj-process` of Data-Juicer, which may lie in an environment of its own. Each run is a process, with its
start and its imports; CPU seconds are those of all its processes, also of those that it left behind. What each does:

- `augforge`: `filter quality` and `filter duplicates`, with ledger, reasons, lock and dataset.
- `plain`: `benchmarks.throughput --only plain`, which measures the same and keeps nothing.
- `datatrove`: its LocalPipelineExecutor, a task for each shard: a reader of shards, a filter that measures the same by
  the same functions, hashes in batches, and its writer of JSON lines. Its duplicates are those of texts, so that
  nothing is compared.
- `data-juicer`: `image_size_filter`, `image_shape_filter`, `image_aspect_ratio_filter` and `image_deduplicator` (phash
  of imagededup, equal hashes only). It reads JSON lines with paths: unpacking the shards is timed apart.

Then one more run of each with a shard in which two images are broken, which says what becomes of them.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux: processes whose parent has ended become those of this one, and are counted."""
JUICER = """
project_name: rivals
dataset_path: {data}
export_path: {out}/kept.jsonl
work_dir: {out}
np: {workers}
use_cache: false
open_tracer: false
open_monitor: false
process:
  - image_size_filter: {{min_size: "0"}}
  - image_shape_filter: {{min_width: 16, min_height: 16}}
  - image_aspect_ratio_filter: {{min_ratio: 0.1, max_ratio: 10}}
  - image_deduplicator: {{method: phash}}
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of a run by the clock, and of all its processes."""

    wall: float
    cpu: float
    code: int


def timed(command: list[str], log: Path) -> Cost:
    """Run a command, its words into a file, and wait for all that it has started."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path.cwd())}
    before, began = _cpu(), time.monotonic()
    with log.open("wb") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False).returncode
    wall = time.monotonic() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return Cost(wall, _cpu() - before, code)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unpack(data: Path, folder: Path) -> Path:
    """All images as files, and JSON lines that name them."""
    folder.mkdir(parents=True)
    names = folder / "images.jsonl"
    with names.open("w", encoding="utf-8") as lines:
        for shard in sorted(data.glob("*.tar")):
            with tarfile.open(shard) as archive:
                archive.extractall(folder / shard.stem, filter="data")
            for path in sorted((folder / shard.stem).iterdir()):
                lines.write(json.dumps({"text": "<__dj__image>", "images": [str(path)]}) + "\n")
    return names


def with_broken(data: Path, folder: Path) -> Path:
    """The first shard, two of whose images are broken."""
    folder.mkdir(parents=True)
    shard = sorted(data.glob("*.tar"))[0]
    with tarfile.open(shard) as old, tarfile.open(folder / shard.name, "w") as new:
        for place, member in enumerate(old):
            file = old.extractfile(member)
            content = file.read() if file else b""
            if place in (100, 200):
                content = b"no image" if place == 100 else content[: len(content) // 2]
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return folder


# -- datatrove, in a process of its own -----------------------------------------------------------------------


def datatrove(data: Path, out: Path, workers: int) -> None:
    """Measure every image by the executor of datatrove."""
    from datatrove.data import Document, Media, MediaType
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers.base import BaseDiskReader
    from datatrove.pipeline.writers import JsonlWriter

    class Shards(BaseDiskReader):  # type: ignore[misc, unused-ignore]
        """The images of WebDataset shards."""

        name = "shards"

        def read_file(self, filepath: str):  # type: ignore[no-untyped-def]
            """Each image as a document without text."""
            with self.data_folder.open(filepath, "rb") as file, tarfile.open(fileobj=file) as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    if content is not None:
                        image = Media(member.name, MediaType.IMAGE, "", media_bytes=content.read())
                        yield Document("image", member.name, [image])

    class Measured(BaseFilter):  # type: ignore[misc, unused-ignore]
        """Digest, quality and hash of each image, in its metadata."""

        name = "measured"

        def filter(self, doc: Document) -> bool:
            """One image."""
            return self.filter_batch([doc])[0]

        def filter_batch(self, batch: list[Document]) -> list[bool]:
            """All are kept, as by `quality` without a rule."""
            from benchmarks.throughput import measured

            for doc, (digest, scores, bits) in zip(
                batch, measured([doc.media[0].media_bytes for doc in batch]), strict=True
            ):
                doc.media, doc.metadata = [], {"digest": digest, **scores, "hash": bits}
            return [True] * len(batch)

    LocalPipelineExecutor(
        pipeline=[Shards(str(data), glob_pattern="*.tar"), Measured(batch_size=64), JsonlWriter(str(out / "rows"))],
        tasks=len(list(data.glob("*.tar"))),
        workers=workers,
        logging_dir=str(out / "logs"),
    ).run()


# -- the runs in turns ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Runs:
    """The commands by their names."""

    out: Path
    workers: int
    juicer: str
    trove: str

    def commands(self, data: Path, names: Path | None) -> dict[str, list[str]]:
        """What is run over the shards of a folder; `names` are the JSON lines of the same images."""
        ours = ["-m", "benchmarks.throughput", "--data", str(data), "--workers", str(self.workers)]
        found = {
            "augforge": [sys.executable, *ours, "--only", "ours", "--out", str(self.out / "ours")],
            "plain": [sys.executable, *ours, "--only", "plain"],
        }
        if self.trove:
            here = ["-m", "benchmarks.rivals", "--as-datatrove", "--data", str(data), "--out", str(self.out / "trove")]
            found["datatrove"] = [self.trove, *here, "--workers", str(self.workers)]
        if self.juicer and names:
            recipe = self.out / "juicer.yaml"
            text = JUICER.format(data=names, out=self.out / "juicer", workers=self.workers)
            recipe.write_text(text, encoding="utf-8")
            found["data-juicer"] = [self.juicer, "--config", str(recipe)]
        return found

    def run(self, name: str, command: list[str]) -> Cost:
        """One of them, with nothing of the one before."""
        for folder in ("ours", "trove", "juicer"):
            shutil.rmtree(self.out / folder, ignore_errors=True)
        return timed(command, self.out / f"{name}.log")


def compare(runs: Runs, data: Path, rounds: int) -> None:
    """The table of all in turns."""
    count = 0
    for shard in data.glob("*.tar"):
        with tarfile.open(shard) as archive:
            count += len(archive.getnames())
    began = time.monotonic()
    names = unpack(data, runs.out / "images") if runs.juicer else None
    print(f"{count:,} images; unpacking them for Data-Juicer took {time.monotonic() - began:.1f} s", flush=True)
    commands = runs.commands(data, names)
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            cost = runs.run(name, command)
            if cost.code:
                sys.exit(f"{name} has failed: {runs.out / f'{name}.log'}")
            costs[name].append(cost)
            print(f"  {name}: {cost.wall:.1f} s, {cost.cpu:.1f} CPU s", flush=True)

    def middle(name: str, of: Callable[[Cost], float]) -> float:
        return statistics.median(of(cost) for cost in costs[name])

    print("| | wall s | CPU s | images a CPU second | wall beside the loop | CPU beside the loop |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, all_of in costs.items():
        wall, cpu = middle(name, lambda cost: cost.wall), middle(name, lambda cost: cost.cpu)
        beside = [
            statistics.median(
                getattr(loop, of) / getattr(cost, of) for loop, cost in zip(costs["plain"], all_of, strict=True)
            )
            for of in ("wall", "cpu")
        ]
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {count / cpu:,.0f} | {beside[0]:.2f} | {beside[1]:.2f} |")


def broken(runs: Runs, data: Path) -> None:
    """What becomes of two broken images in each."""
    folder = with_broken(data, runs.out / "broken")
    names = unpack(folder, runs.out / "broken-images") if runs.juicer else None
    for name, command in runs.commands(folder, names).items():
        cost = runs.run(name, command)
        last = (runs.out / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
        print(f"with two broken images, {name}: exit status {cost.code}, {last}", flush=True)
        for folder_of in ("ours", "trove", "juicer"):
            for rows in sorted((runs.out / folder_of).rglob("*.jsonl*")):
                print(f"  {rows}: {rows.stat().st_size:,} bytes")


def main() -> None:
    """Compare, or be the process of datatrove."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--data-juicer", default="")
    parser.add_argument("--datatrove", default="")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("/tmp/augforge-rivals"))
    parser.add_argument("--as-datatrove", action="store_true")
    given = parser.parse_args()
    if given.as_datatrove:
        datatrove(given.data, given.out, given.workers)
        return
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    runs = Runs(given.out, given.workers, given.data_juicer, given.datatrove)
    compare(runs, given.data, given.rounds)
    broken(runs, given.data)


if __name__ == "__main__":
    main()
