"""Selection and near-duplicates of vectors that stay on the disk: quality in parts, time, memory, recall, certificate.

    python benchmarks/beyond.py parts --rows 200000 --count 2000           1, 4 and 16 parts beside the whole
    python benchmarks/beyond.py select --rows 1000000 --count 10000        from stored float16 vectors, or
    python benchmarks/beyond.py select --rows 1000000 --count 10000 --array --workers 2
    python benchmarks/beyond.py certify --rows 1000000 --count 10000       the same with its certificate
    python benchmarks/beyond.py close --rows 200000                        near vectors, by cells, beside all pairs
    python benchmarks/beyond.py hashes --rows 1000000                      near hashes

Vectors are made up: unit vectors of 64 numbers around directions, one for every `--cluster-rows` rows, where two of one
direction have a cosine of about 1 / (1 + noise^2). They are written to `--folder` as a run stores its embeddings
(float16, parts of 65,536 rows) and are reused if they are there. Seconds are those of the work alone. Memory is sampled
20 times a second, of this process and its workers together: "anonymous" is what they own, "resident" adds what is
mapped at the time, such as the vectors. Each line is JSON. Give every measurement a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates import pair_blocks
from augforge.algorithms.duplicates.close import close_pairs
from augforge.algorithms.selection import certify, facility_location
from augforge.algorithms.selection.by_rows import ArrayRows, RowReader, pool_of
from augforge.algorithms.selection.distributed import Plan, distributed
from augforge.algorithms.selection.kernels import nearest_of
from augforge.algorithms.selection.points import Likeness
from augforge.data.vectors import Vectors, write_vectors

PART, WIDTH = 65_536, 64
Features = NDArray[np.float32]


class Peak:
    """The largest memory of this process and its children while it is open, in MB, and their CPU seconds."""

    def __enter__(self) -> Peak:
        self.anonymous = self.resident = 0.0
        self._open, self._began = True, cpu_seconds()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False
        self._thread.join()
        self.cpu_seconds = cpu_seconds() - self._began

    def _watch(self) -> None:
        while self._open:
            found = [memory_of(process) for process in family(os.getpid())]
            self.anonymous = max(self.anonymous, sum(one for one, _ in found))
            self.resident = max(self.resident, sum(both for _, both in found))
            time.sleep(0.05)


def cpu_seconds() -> float:
    """What this process and its children that have ended have computed, in seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def family(process: int) -> Iterator[int]:
    """A process and all that come from it."""
    yield process
    try:
        children = [
            c for task in Path(f"/proc/{process}/task").iterdir() for c in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def memory_of(process: int) -> tuple[float, float]:
    """What a process has in memory of its own, and in all, in MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {name: int(rest.split()[0]) / 1000 for name, rest in (line.split(":", 1) for line in lines if "kB" in line)}
    return sizes.get("RssAnon", 0.0), sizes.get("VmRSS", 0.0)


def made(start: int, stop: int, directions: Features, noise: float) -> Features:
    """Rows `start` to `stop` of the vectors, the same however they are asked for in parts of 65,536."""
    draw = np.random.default_rng([7, start // PART])
    found = draw.standard_normal(size=(stop - start, WIDTH), dtype=np.float32) * np.float32(noise / np.sqrt(WIDTH))
    found += directions[draw.integers(len(directions), size=stop - start)]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def directions_of(rows: int, cluster_rows: int) -> Features:
    """(c, 64) unit vectors, one for so many rows."""
    found = np.random.default_rng(0).normal(size=(max(1, rows // cluster_rows), WIDTH)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def stored(options: argparse.Namespace) -> RowReader:
    """The vectors on the disk, which are written if they are not there yet."""
    name = f"{options.rows}-{options.cluster_rows}-{options.noise}"
    vectors = Vectors(options.folder / name, "float16")
    directions = directions_of(options.rows, options.cluster_rows)
    for start in range(len(vectors), options.rows, PART):
        stop = min(options.rows, start + PART)
        digests = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(start, stop)]
        write_vectors(vectors.folder, "float16", digests, made(start, stop, directions, options.noise))
    vectors.reload()
    return vectors.by_rows()


def keys_of(rows: int) -> NDArray[np.uint64]:
    """(n,) what stands for hashes of ids."""
    return np.random.default_rng(5).integers(0, 2**64, size=rows, dtype=np.uint64)


@contextmanager
def runner(workers: int) -> Iterator[Callable[..., Any]]:
    """`map`, or that of so many processes."""
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        yield processes.map


def parts(options: argparse.Namespace) -> None:
    """The objective in parts beside that of one greedy choice over all rows."""
    reader = stored(options)
    features = reader.read(np.arange(options.rows))
    whole = facility_location(features, options.count, method="sparse", memory_budget_bytes=8 << 30)
    best = value(features, whole.indices)
    say(options, method="sparse over all rows", objective=best / options.rows)
    pool = pool_of(reader, np.arange(options.rows), "cosine", 64.0, keys_of(options.rows))
    for division in ("hash", "cell"):
        for count in (1, 4, 16):
            began = time.monotonic()
            found = distributed(pool, options.count, Plan(division, count, 100, 512 << 20))
            seconds = time.monotonic() - began
            ratio = value(features, found.chosen) / best
            say(options, division=division, parts=count, ratio=ratio, seconds=seconds, note=found.note)


def value(features: Features, chosen: NDArray[np.int64]) -> float:
    """The objective, over all rows and all of the chosen."""
    points = features / np.linalg.norm(features, axis=1, keepdims=True)
    return float(nearest_of(points, points[chosen], Likeness("cosine"))[0].sum(dtype=np.float64))


def select(options: argparse.Namespace) -> None:
    """Choose from vectors on the disk (or from an array), and say what it took."""
    reader = stored(options)
    if options.array:
        reader = ArrayRows(reader.read(np.arange(options.rows)))
    keys = keys_of(options.rows)
    with Peak() as peak, runner(options.workers) as run:
        began = time.monotonic()
        found = facility_location(reader, options.count, method=options.method, keys=keys, run=run)
        seconds = time.monotonic() - began
    memory = {"anonymous_mb": peak.anonymous, "resident_mb": peak.resident, "cpu_seconds": peak.cpu_seconds}
    chosen = hashlib.sha256(found.indices.tobytes()).hexdigest()[:16]
    mean = found.objective / options.rows
    say(options, seconds=seconds, **memory, chosen=chosen, mean=mean, notes=found.notes)
    if options.what == "certify":
        with Peak() as peak, runner(options.workers) as run:
            began = time.monotonic()
            proven = certify(reader, found, keys=keys, run=run)
            seconds = time.monotonic() - began
        memory = {"anonymous_mb": peak.anonymous, "resident_mb": peak.resident, "cpu_seconds": peak.cpu_seconds}
        shares = {"random": proven.random, "bound": proven.upper_bound, "low": proven.interval[0]}
        shares = {name: one / options.rows for name, one in shares.items()}
        shares["high"] = proven.interval[1] / options.rows
        say(options, seconds=seconds, **memory, **shares, gap=proven.gap, sample=proven.rows)


def close(options: argparse.Namespace) -> None:
    """The recall of near vectors by cells beside comparing every two; one row in a hundred has a planted copy."""
    features = stored(options).read(np.arange(options.rows))
    copies, draw = options.rows // 100, np.random.default_rng(1)
    features[-copies:] = features[:copies] + draw.standard_normal((copies, WIDTH), dtype=np.float32) * 0.04
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    began = time.monotonic()
    truth = []
    for start in range(0, options.rows, 1024):
        left, right = np.nonzero(features[start : start + 1024] @ features.T >= options.similarity)
        truth.append((left + start)[left + start < right] * options.rows + right[left + start < right])
    exact = np.concatenate(truth)
    planted = np.arange(copies) * (options.rows + 1) + options.rows - copies
    planted = planted[np.isin(planted, exact)]
    say(options, method="all pairs", pairs=len(exact), planted=len(planted), seconds=time.monotonic() - began)
    pool = pool_of(ArrayRows(features), np.arange(options.rows), "cosine", 64.0, keys_of(options.rows))
    for cells in (1, 2, 4, 8):
        began = time.monotonic()
        blocks = [
            block[:, 0] * options.rows + block[:, 1] for block in close_pairs(pool, options.similarity, cells=cells)
        ]
        seconds, found = time.monotonic() - began, np.unique(np.concatenate(blocks))
        recall = {"recall": np.isin(exact, found).mean(), "planted_recall": np.isin(planted, found).mean()}
        say(options, cells=cells, pairs=len(found), seconds=seconds, **recall)


def hashes(options: argparse.Namespace) -> None:
    """The pairs of random hashes within 8 bits, mirrored too, of which one in a hundred has a planted copy."""
    draw = np.random.default_rng(0)
    found = draw.integers(1, 2**64, size=options.rows, dtype=np.uint64)
    copies = options.rows // 100
    found[-copies:] = found[:copies]
    for _ in range(8):  # up to 8 bits, for some fall on the same
        found[-copies:] ^= np.uint64(1) << draw.integers(0, 64, size=copies, dtype=np.uint64)
    with Peak() as peak:
        began, pairs, planted = time.monotonic(), 0, 0
        for block, _ in pair_blocks(found, 8, flips=True):
            pairs += len(block)
            planted += int((block[:, 1] - block[:, 0] == options.rows - copies).sum())
        seconds = time.monotonic() - began
    memory = {"anonymous_mb": peak.anonymous, "resident_mb": peak.resident, "cpu_seconds": peak.cpu_seconds}
    say(options, seconds=seconds, **memory, pairs=pairs, planted_found=planted / copies)


def say(options: argparse.Namespace, **found: Any) -> None:
    """One line of JSON."""
    given = {name: getattr(options, name) for name in ("what", "rows", "count", "noise", "workers", "array")}
    rounded = {name: round(one, 5) if isinstance(one, float) else one for name, one in found.items()}
    print(json.dumps(given | rounded), flush=True)


WHAT = {"parts": parts, "select": select, "certify": select, "close": close, "hashes": hashes}


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(WHAT))
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--cluster-rows", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=0.65)
    parser.add_argument("--method", default="distributed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--similarity", type=float, default=0.9, help="of near vectors")
    parser.add_argument("--array", action="store_true", help="read the vectors into memory first")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    WHAT[options.what](options)


if __name__ == "__main__":
    main()
