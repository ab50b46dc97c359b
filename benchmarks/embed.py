"""How fast images are decoded, embedded end to end, and found again in the store of vectors.

    python benchmarks/embed.py decode --size 500 375
    python benchmarks/embed.py rate --model vit-b-32 --batches 3 --repeats 2
    python benchmarks/embed.py loader --images 2000 --repeats 3
    python benchmarks/embed.py store --rows 1000000

decode   images per second of CPU time in one thread, so that it can be multiplied by cores: JPEG to RGB in full and
         scaled, with Pillow and with simplejpeg, and then on to what the model sees.
rate     images per second of the bare forward pass over one prepared batch of 64, before and after, and of `Embedder`
         from files to stored vectors, in one process, and the ratio, also of the CPU time: where others use the machine
         the first is noise, and the second says what a machine without a free core would reach. `vit-b-32` has
         random weights here, which cost as much as real ones; `efficientnet-lite2` and `builtin-clip` have their own.
rates    the same of a ViT-B-32 and a SigLIP 2 base with random weights, on a GPU, with what the loader alone reaches.
loader   images per second of `Embedder` from files to stored vectors with a model that costs nothing and sees what a
         ViT-B-32 sees: what a device without limits could be fed with by these cores.
store    seconds and peak memory of opening so many vectors of 128 numbers, each in a fresh process.

The pictures are crops of scikit-learn's photo of a pavilion, at JPEG quality 90. One torch thread unless --threads.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from device_speed import on_device
from embed_parts import Nothing, RandomClip, Timed, clocked, forward, ingested, photos
from figures import Figures

from augforge.data import images
from augforge.data import preprocessing as preprocessing
from augforge.data.ledger import Ledger
from augforge.data.preprocessing import Preprocessing, decode
from augforge.data.store import Store
from augforge.data.vectors import Vectors
from augforge.engine.embedding import Embedders, Embedding
from augforge.engine.pixels import Pixels
from augforge.models import find_model
from augforge.models.loading import load_embedder

BATCH = Embedding.per_batch
WANTED = 2500
"""Images per second that a ViT-B-32 on a GPU should be fed with."""
BARE_BAR = 0.95
ARCHITECTURES = {"ViT-B-32": "ViT-B-32", "SigLIP 2 base": "ViT-B-16-SigLIP2"}
"""What `rates` measures, by open_clip's names."""
TOYS = {"ViT-B-32": "ViT-B-32", "SigLIP 2 base": "ViT-B-32-SigLIP2-256"}
"""The same for a smoke test, which uses one block of each."""


def measure_decode(size: tuple[int, int], seconds: float) -> None:
    """Print the table of decoding rates."""
    data, preprocessing = photos(32, size), Preprocessing(224, (0.5,) * 3, (0.5,) * 3, 224)
    simple = preprocessing.simplejpeg()
    ways: dict[str, tuple[Any, Callable[[bytes], Any]]] = {
        "Pillow, full": (None, images.decode),
        "Pillow, scaled": (None, lambda b: decode(b, preprocessing.min_side)),
        "Pillow, scaled, resized": (None, lambda b: preprocessing.resize_and_crop(decode(b, preprocessing.min_side))),
        "Pillow, full, resized": (None, lambda b: preprocessing.resize_and_crop(images.decode(b))),
    }
    if simple is not None:
        ways["simplejpeg, full"] = (simple, lambda b: simple.decode_jpeg(b, "RGB"))
        ways["simplejpeg, scaled"] = (simple, lambda b: decode(b, preprocessing.min_side))
        ways["simplejpeg, scaled, resized"] = (
            simple,
            lambda b: preprocessing.resize_and_crop(decode(b, preprocessing.min_side)),
        )
    small = decode(data[0], preprocessing.min_side)
    print(f"{size[0]}x{size[1]} px, {np.mean([len(b) for b in data]) / 1000:.0f} kB; scaled to {small.size}")
    for name, (module, way) in ways.items():
        preprocessing.simplejpeg = lambda module=module: module  # type: ignore[assignment]
        rate = _per_second(way, data, seconds)
        print(f"{name:28} {rate:7.0f} images per CPU second; {WANTED / rate:5.1f} cores for {WANTED}/s")


def _per_second(way: Callable[[bytes], Any], data: Sequence[bytes], seconds: float) -> float:
    way(data[0])
    count, start = 0, time.thread_time()
    while time.thread_time() - start < seconds:
        for one in data:
            way(one)
        count += len(data)
    return count / (time.thread_time() - start)


def measure_rate(name: str, batches: int, repeats: int, size: tuple[int, int], device: str) -> None:
    """Print bare and end-to-end rates, in turns."""
    loaded = RandomClip("ViT-B-32", device) if name == "vit-b-32" else None
    model: Any = loaded or load_embedder(find_model(name, "image-embedding"), device)
    with tempfile.TemporaryDirectory() as folder:
        ledger, pixels = ingested(Path(folder), batches * BATCH, size)
        first = [pixels.bytes_of(sample) for sample in ledger.samples(np.arange(BATCH))]
        seen = np.stack([model.preprocessing.resize_and_crop(images.decode(data)) for data in first])
        model.embed_preprocessed(seen)
        ratios = []
        for repeat in range(repeats):
            store = Store(Path(folder) / f"run-{repeat}")
            embedder = Timed(name, "image-embedding", Embedders(store, pixels, device))
            embedder.model = model
            bare_pass = partial(forward, model, seen, batches)
            end_to_end = partial(embedder.images, ledger, np.arange(len(ledger)), lambda _, reason: sys.exit(reason))
            before, middle, after = (clocked(work) for work in (bare_pass, end_to_end, bare_pass))
            plain = (before + after) / 2  # a machine that slows down slows all three
            bare, whole = len(ledger) / plain[0], len(ledger) / middle[0]
            ratios.append(whole / bare)
            costs = plain[1] / middle[1]
            print(f"bare {bare:.1f}/s, end to end {whole:.1f}/s, ratio {whole / bare:.3f}, of CPU time {costs:.3f}")
            print(f"  {embedder.timing.sentence()}")
    print(f"{name}: median ratio {np.median(ratios):.3f} over {repeats} repeats of {batches} batches of {BATCH}")


def measure_loader(count: int, repeats: int, size: tuple[int, int]) -> None:
    """Print the rate at which these cores can feed a model, and how many cores the wanted rate takes."""
    with tempfile.TemporaryDirectory() as folder:
        ledger, pixels = ingested(Path(folder), count, size)
        rates = []
        for repeat in range(repeats):
            store = Store(Path(folder) / f"run-{repeat}")
            embedder = Timed("vit-b-32", "image-embedding", Embedders(store, pixels, "cpu"))
            embedder.model = Nothing()
            start = time.monotonic()
            embedder.images(ledger, np.arange(len(ledger)), lambda digests, reason: sys.exit(reason))
            rates.append(len(ledger) / (time.monotonic() - start))
        print(f"{size[0]}x{size[1]} px; {embedder.timing.sentence()}")
    rate, cores = float(np.median(rates)), len(os.sched_getaffinity(0))
    print(f"{cores} cores feed a model with {rate:.0f} images/s (median of {np.round(rates)})")
    print(
        f"{rate / cores:.0f} images/s a core; {WANTED}/s take about {cores * WANTED / rate:.0f} such cores (reckoned)"
    )


def measure_rates(given: argparse.Namespace) -> None:
    """Both models end to end and bare on the device, in turns, and what the loader alone would reach."""
    figures, until = Figures(given.json), time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        read = ingested(Path(folder), BATCH if given.smoke else 100 * BATCH, (given.size[0], given.size[1]))
        limit = end_to_end(Nothing(), *read, Path(folder) / "loader")[0]
        cores = len(os.sched_getaffinity(0))
        figures.note(f"{cores} cores feed a model that costs nothing with {limit:.0f} JPEGs/s of {given.size} px.")
        chosen = TOYS if given.smoke else ARCHITECTURES
        for place, (name, architecture) in enumerate(chosen.items()):
            model = RandomClip(architecture, given.device, given.smoke)
            ends = time.monotonic() + (until - time.monotonic()) / (len(chosen) - place)
            turns = turns_of(model, *read, Path(folder) / architecture, given, ends)
            bare, whole = (float(np.median([turn[key] for turn in turns])) for key in ("bare", "whole"))
            ratio = float(np.median([turn["whole"] / turn["bare"] for turn in turns]))
            memory = max(turn["peak"] for turn in turns) / 2**30 if given.device == "cuda" else None
            row = {"bare/s": bare, "end to end/s": whole, "ratio": ratio, "GiB": memory, "turns": len(turns)}
            figures.row("rates", model=name, **row)
            figures.note(f"{name}: {turns[-1]['said']}; the decoder's limit is {limit:.0f} images/s.")
            figures.bar(f"{name}: images/s end to end from JPEGs", whole, WANTED)
            figures.bar(f"{name}: end to end over the bare model fed from memory", ratio, BARE_BAR)


def turns_of(
    model: Any, ledger: Ledger, pixels: Pixels, out: Path, given: argparse.Namespace, ends: float
) -> list[dict[str, Any]]:
    """Bare, end to end and bare again, as often as there is time for, at least once."""
    first = [pixels.bytes_of(sample) for sample in ledger.samples(np.arange(BATCH))]
    seen = np.stack([model.preprocessing.resize_and_crop(images.decode(data)) for data in first])
    model.embed_preprocessed(seen)
    bare_pass = partial(forward, model, seen, len(ledger) // BATCH)
    turns: list[dict[str, Any]] = []
    lasted = 0.0
    while not turns or (len(turns) < given.repeats and time.monotonic() + lasted < ends):
        began, place = time.monotonic(), out.with_name(f"{out.name}-{len(turns)}")
        before = clocked(bare_pass)[0]
        (rate, said), peak = on_device(partial(end_to_end, model, ledger, pixels, place), given.device)
        plain = (before + clocked(bare_pass)[0]) / 2  # a machine that slows down slows all three
        turns.append({"bare": len(ledger) / plain, "whole": rate, "peak": peak, "said": said})
        lasted = time.monotonic() - began
    return turns


def end_to_end(model: Any, ledger: Ledger, pixels: Pixels, out: Path) -> tuple[float, str]:
    """Images/s from files to stored vectors, and what held it up."""
    embedder = Timed("vit-b-32", "image-embedding", Embedders(Store(out), pixels, "cpu"))  # the model is loaded
    embedder.model = model
    work = partial(embedder.images, ledger, np.arange(len(ledger)), lambda _, reason: sys.exit(reason))
    return len(ledger) / clocked(work)[0], embedder.timing.sentence()


def measure_store(rows: int) -> None:
    """Print what opening a store of so many vectors costs."""
    with tempfile.TemporaryDirectory() as folder:
        store, draw = Vectors(Path(folder), "float16"), np.random.default_rng(0)
        for start in range(0, rows, 8000):
            count = min(8000, rows - start)
            digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, start + count)]
            vectors = draw.standard_normal((count, 128), dtype=np.float32)
            store.commit([{"digest": d, "vector": v} for d, v in zip(digests, vectors, strict=True)])
        for state in ("as written", "merged"):
            if state == "merged":
                store.reload()
                store.merge()
            found = subprocess.run([sys.executable, "-c", OPEN, folder], capture_output=True, text=True, check=True)
            print(f"{state}: {found.stdout.strip()}")


OPEN = """
import sys, time
from pathlib import Path
from augforge.data.vectors import Vectors
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
before, start = peak(), time.monotonic()
store = Vectors(Path(sys.argv[1]), "float16")
print(f"{len(store)} rows in {time.monotonic() - start:.2f} s, {before} MB with the libraries, peak {peak()} MB")
"""
"""What a fresh process does (on Linux, which says how much memory it has held at most)."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["decode", "rate", "rates", "loader", "store"])
    parser.add_argument("--size", type=int, nargs=2, default=[500, 375])
    parser.add_argument("--seconds", type=float, default=3.0, help="decode: of CPU, each way; rates: all")
    parser.add_argument("--model", default="vit-b-32")
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="rates: toy sizes")
    parser.add_argument("--json", type=Path, help="rates: file for the figures")
    given = parser.parse_args()
    if given.what == "decode":
        measure_decode((given.size[0], given.size[1]), given.seconds)
    elif given.what == "rate":
        os.environ["OMP_NUM_THREADS"] = str(given.threads)  # or else it costs 8 % of the time with one torch thread
        import torch

        torch.set_num_threads(given.threads)
        measure_rate(given.model, given.batches, given.repeats, (given.size[0], given.size[1]), given.device)
    elif given.what == "rates":
        measure_rates(given)
    elif given.what == "loader":
        measure_loader(given.images, given.repeats, (given.size[0], given.size[1]))
    else:
        measure_store(given.rows)


if __name__ == "__main__":
    main()
