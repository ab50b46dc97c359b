"""Decisions over a ledger of many samples without a pixel: memory and time of each stage, and a digest of the result.

    python benchmarks/ledger.py --samples 1000000 --folder /some/disk

The samples are made up: labels of 1,000 classes with a long tail, a score, a hash, three copies in a hundred and two
near-duplicates. What a filter would have measured of each is written to a run folder first. Then the stages of a run
decide, as in a run over images that were all looked at before: `filter sharpness` with `keep` in each class, `filter
duplicates` by hashes at most 2 bits apart, `select balanced`, the digests of a lock, samples.parquet. `--compare
CHECKOUT` does the same with the code of another checkout, which has to come to the same digests.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augforge.data.ledger import Ledger
from augforge.data.parts import Parts
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders
from augforge.engine.finish import write_ledger
from augforge.engine.pixels import Pixels
from augforge.engine.runners import candidates, overlaps
from augforge.engine.runners.duplicates import run_duplicates
from augforge.engine.runners.filter import run_filter
from augforge.engine.runners.measuring import score_parts
from augforge.engine.runners.select import run_selector
from augforge.provenance.lock import result_of
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.filters.sharpness import Sharpness
from augforge.stages.selectors.balanced import Balanced

CLASSES, CHUNK = 1000, 65_536
STAGES = (Sharpness(on="all", keep=0.8), Duplicates(on="all", by="hash", distance=2), Balanced(share=0.5))
NAMES = ("read", "keep", "duplicates", "balance", "lock", "write")
DECIDED = ["id", "kept", "dropped", "dropped_by", "weight", "scores"]


def chunk(number: int, count: int) -> dict[str, Any]:
    """`count` made-up images: (n,) names of ids and digests, hashes, scores and classes."""
    draw = np.random.default_rng(number)
    odds = 1 / np.arange(1, CLASSES + 1)
    ids, digests = (draw.bytes(size * count).hex() for size in (10, 32))
    places = np.arange(count)
    copies = np.where(places % 33 == 32, places - 1, places)  # of the one before
    hashes = draw.integers(0, 2**63, count, dtype=np.uint64)[copies]
    near = np.flatnonzero(places % 50 == 7)
    hashes[near] = hashes[near - 1] ^ np.uint64(0b101)
    return {
        "ids": [ids[20 * place : 20 * place + 20] for place in places.tolist()],
        "digests": [digests[64 * place : 64 * place + 64] for place in copies.tolist()],
        "hashes": hashes,
        "scores": np.round(draw.normal(size=count), 4)[copies],  # rounded, so that there are ties
        "classes": draw.choice(CLASSES, count, p=odds / odds.sum()).tolist(),
    }


def chunks(samples: int) -> Iterator[dict[str, Any]]:
    """The made-up images, some at a time."""
    for number in range(-(-samples // CHUNK)):
        yield chunk(number, min(CHUNK, samples - number * CHUNK))


def made_up(samples: int) -> Iterator[Sample]:
    """The samples themselves."""
    first = 0
    for part in chunks(samples):
        rows = zip(part["ids"], part["digests"], part["classes"], strict=True)
        for place, (identity, digest, label) in enumerate(rows, first):
            where = f"class-{label}/{place:08d}.jpg"
            yield Sample(
                identity, f"class-{label}", source=f"made up: {where}", digest=digest, width=64, height=64,
                ref=f"0:{where}", split="test" if place % 97 == 0 else "train",
            )  # fmt: skip
        first += len(part["ids"])


def measure_all(samples: int, store: Store) -> None:
    """Write what the filters would have measured; hashes without the small pictures, which take 1 kB each."""
    candidates.LOOKS = pa.schema([field for field in candidates.LOOKS if field.name != "small"])
    overlaps.smalls_of = _noise
    scores, looks = score_parts(STAGES[0], store), candidates.look_parts(store)  # type: ignore[arg-type]
    for part in chunks(samples):
        digests, first = np.unique(part["digests"], return_index=True)
        _write(scores, {"digest": digests, "sharpness": part["scores"][first]})
        _write(looks, {"digest": digests, "hash": part["hashes"][first], "bytes": np.full(len(digests), 2000)})


def _write(parts: Parts, columns: dict[str, Any]) -> None:
    parts._commit(pa.table({name: pa.array(columns[name]) for name in parts.schema.names}, schema=parts.schema))


def _noise(parts: Parts, digests: Any) -> Any:
    """The same picture for all: near hashes are taken for near-duplicates."""
    picture = np.random.default_rng(0).integers(0, 256, (1, candidates.SIDE, candidates.SIDE), dtype=np.uint8)
    return np.repeat(picture, len(digests), axis=0)


class Memory:
    """The most memory of this process while a block runs, looked at 50 times a second: MB, anonymous and in all."""

    def __init__(self) -> None:
        self.anonymous = self.total = 0.0
        self._ended = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look while the block runs."""
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._ended.set()
            watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.anonymous = max(self.anonymous, int(said["RssAnon"].split()[0]) / 1024)
            self.total = max(self.total, int(said["VmRSS"].split()[0]) / 1024)


def decide(samples: int, folder: Path, only: set[str]) -> None:
    """Run the stages, or of these those in `only`, and print what each took."""
    store = Store(folder)
    print(f"{samples:,} samples", flush=True)
    measure_all(samples, store)
    ledger = Ledger([f"class-{number}" for number in range(CLASSES)], **_in(folder))
    context = RunContext(ledger, Embedders(store, Pixels([])), allow_empty=True)
    steps = {
        "read": lambda: ledger.extend(made_up(samples)),
        "keep": lambda: run_filter(STAGES[0], "1-filter-sharpness", context),  # type: ignore[arg-type]
        "duplicates": lambda: run_duplicates(STAGES[1], "2-filter-duplicates", context),  # type: ignore[arg-type]
        "balance": lambda: run_selector(STAGES[2], "3-select-balanced", context),  # type: ignore[arg-type]
        "lock": lambda: print("  digests", key_of(result_of(ledger)), flush=True),
        "write": lambda: write_ledger(ledger, folder / "samples.parquet"),
    }
    total, busy, most = 0.0, 0.0, Memory()
    for name, step in steps.items():
        if name not in only:
            continue
        memory, began, used = Memory(), time.perf_counter(), time.process_time()
        with memory.watched():
            step()
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        total, busy = total + seconds, busy + cpu
        most.anonymous, most.total = max(most.anonymous, memory.anonymous), max(most.total, memory.total)
        print(f"{_line(name, seconds, cpu, memory)}   {int(ledger.kept.sum()):,} kept", flush=True)
    print(_line("in all", total, busy, most))
    if "write" in only:
        print(f"  decisions {decisions(folder / 'samples.parquet')}", flush=True)


def _line(name: str, seconds: float, cpu: float, memory: Memory) -> str:
    """What a stage took."""
    peak = f"peak {memory.anonymous:6.0f} MB anonymous, {memory.total:6.0f} MB in all"
    return f"  {name:<12} {seconds:8.1f} s {cpu:8.1f} s of CPU   {peak}"


def _in(folder: Path) -> dict[str, Any]:
    """Where the ledger lies, for code that can be told."""
    return {"folder": folder} if "folder" in Ledger.__init__.__annotations__ else {}


def key_of(result: dict[str, Any]) -> str:
    """The digests of a result, in short."""
    return " ".join(str(result[name]) for name in ("identity", "outcomes", "pixels"))


def decisions(path: Path) -> str:
    """A digest of what was decided about each sample."""
    found = hashlib.sha256()
    for batch in pq.ParquetFile(path).iter_batches(columns=DECIDED):
        found.update(repr(batch.to_pydict()).encode())
    return found.hexdigest()[:20]


def main() -> None:
    """Run in a process for each size, so that the peaks are its own."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--samples", type=int, nargs="+", default=[100_000])
    asked.add_argument("--folder", type=Path, default=None, help="where the run folders are made, and removed again")
    asked.add_argument("--compare", type=Path, default=None, help="another checkout, which decides the same")
    asked.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="these steps, and reading")
    asked.add_argument("--here", action="store_true", help="in this process")
    given = asked.parse_args()
    for samples in given.samples:
        if given.here:
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                decide(samples, Path(folder), {"read", *given.only})
            continue
        words = [sys.executable, __file__, "--here", "--samples", str(samples)]
        words += ["--only", *given.only, *(["--folder", str(given.folder)] if given.folder else [])]
        own = Path(__file__).resolve().parents[1]
        for code in filter(None, (own, given.compare)):
            print(f"code of {'this checkout' if code == own else 'the other one'}:", flush=True)
            subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(code)})


if __name__ == "__main__":
    main()
