"""Images a second through `filter quality` and `filter duplicates`, beside a plain loop that does the same measurement.

    python -m benchmarks.throughput --make 1000000 --data FOLDER --photos PHOTOS
    python -m benchmarks.throughput --data FOLDER --workers 2

`--make` writes small JPEGs of 64 px, each another part of a photo of PHOTOS, turned, scaled and coloured at random, as
WebDataset shards of 10,000. Then the recipe runs over them with as many workers as are asked for, and a plain loop of
as many processes reads every shard, decodes each image once, measures the same numbers by the same functions, and
compares the hashes in the same way; it keeps no provenance, writes nothing, and starts again from nothing if it is
killed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from augforge.progress import Bar, Progress

SIDE, SHARD = 64, 10_000


def shard(number: int, count: int, photos: list[Path], folder: Path) -> None:
    """One shard of random parts of photos."""
    draw = random.Random(number)
    with tarfile.open(folder / f"shard-{number:05d}.tar", "w") as archive:
        for start in range(0, count, 50):
            photo = draw.choice(photos)
            with Image.open(photo) as opened:
                whole = opened.convert("RGB")
            for place in range(start, min(start + 50, count)):
                buffer = io.BytesIO()
                _part(whole, draw).save(buffer, "JPEG", quality=90)
                for name, data in (("jpg", buffer.getvalue()), ("cls", photo.parent.name.encode())):
                    member = tarfile.TarInfo(f"{number:05d}{place:05d}.{name}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def _part(photo: Image.Image, draw: random.Random) -> Image.Image:
    """A part of a photo, turned and coloured at random."""
    side = draw.randint(36, min(photo.size))
    left, top = draw.randint(0, photo.width - side), draw.randint(0, photo.height - side)
    part = photo.crop((left, top, left + side, top + side)).rotate(draw.uniform(0, 360), Image.Resampling.BILINEAR)
    edge = round(side * 0.15)
    part = part.crop((edge, edge, side - edge, side - edge)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = enhance(part).enhance(draw.uniform(0.6, 1.4))
    return part


def make(count: int, folder: Path, photos: Path, processes: int) -> None:
    """Write `count` images."""
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(photos.rglob("*.jpg"))
    jobs = [(number, min(SHARD, count - number * SHARD), files, folder) for number in range(-(-count // SHARD))]
    with get_context("spawn").Pool(processes) as pool:
        pool.starmap(shard, jobs, chunksize=1)


# -- the plain loop -----------------------------------------------------------------------------------------


def plain_shard(path: Path) -> list[tuple[str, dict[str, float], int]]:
    """Digest, quality and hash of every image of a shard, each decoded once."""
    from augforge.algorithms.duplicates.hashes import hashes_of, reduced, shrunk
    from augforge.data import images
    from augforge.recipe import build_stage

    quality: Any = build_stage("filter", "quality", {})
    rows, greys = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith(".jpg"):
                file = archive.extractfile(member)
                data = file.read() if file else b""
                rows.append((hashlib.sha256(data).hexdigest(), quality.measure(images.decode(data))))
                greys.append(reduced(data))
    hashes = [h for start in range(0, len(greys), 64) for h in hashes_of(shrunk(greys[start : start + 64])).tolist()]
    return [(digest, scores, bits) for (digest, scores), bits in zip(rows, hashes, strict=True)]


def plain(folder: Path, processes: int) -> tuple[float, float]:
    """Seconds of measuring everything, and of comparing all hashes within the same distance."""
    from augforge.algorithms.duplicates.pairs import pair_blocks
    from augforge.recipe import build_stage

    began = time.monotonic()
    with get_context("spawn").Pool(processes) as pool:
        found = [row for part in pool.imap(plain_shard, sorted(folder.glob("*.tar"))) for row in part]
    measured = time.monotonic()
    duplicates: Any = build_stage("filter", "duplicates", {})
    hashes = np.array([bits for _, _, bits in found], dtype=np.uint64)
    near = sum(len(pairs) for pairs, _ in pair_blocks(hashes, duplicates.reach(len(hashes)), flips=duplicates.flips))
    print(f"plain loop: {len(found):,} images, {near:,} pairs of hashes that are near")
    return measured - began, time.monotonic() - measured


# -- augforge -----------------------------------------------------------------------------------------------


@dataclass
class Laps(Progress):
    """Seconds between what the progress is told."""

    last: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        """What has passed since the last time belongs to `name`."""
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """A bar whose time is noted."""
        self.lap(f"before {title}")
        with super().bar(title, total, unit) as shown:
            yield shown
        self.lap(title)


def ours(folder: Path, out: Path, engine: str, workers: int) -> Laps:
    """Seconds of each step of the same by augforge."""
    from augforge.engine.engines.choose import engine_of
    from augforge.engine.run import run
    from augforge.recipe import parse_recipe

    plain = {"name": "throughput", "source": {"webdataset": str(folder)}}
    recipe = parse_recipe(json.dumps({**plain, "stages": [{"filter": "quality"}, {"filter": "duplicates"}]}))
    laps = Laps()
    run(recipe, out, progress=laps, engine=engine_of(engine, workers=workers))
    laps.lap("the rest")
    return laps


def main() -> None:
    """Make images, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="processes")
    parser.add_argument("--out", type=Path, default=Path("/tmp/augforge-throughput"))
    given = parser.parse_args()
    if given.make:
        make(given.make, given.data, given.photos, given.workers)
        return
    shutil.rmtree(given.out, ignore_errors=True)
    laps = ours(given.data, given.out, given.engine, given.workers)
    measuring, comparing = plain(given.data, given.workers)
    for name, seconds in laps.seconds.items():
        print(f"  {seconds:8.1f} s  {name}")
    total = sum(laps.seconds.values())
    looking = sum(seconds for name, seconds in laps.seconds.items() if name.startswith(("read", "quality", "hash")))
    print(f"plain: {measuring:.1f} s measuring, {comparing:.1f} s comparing; augforge: {looking:.1f} of {total:.1f} s")
    print(f"measuring beside the plain loop: {measuring / looking:.2f}; all: {(measuring + comparing) / total:.2f}")


if __name__ == "__main__":
    main()
