"""Images a second through `filter quality` and `filter duplicates`, beside a plain loop that does the same measurement.

    python -m benchmarks.throughput --make 1000000 --data FOLDER --photos PHOTOS
    python -m benchmarks.throughput --data FOLDER --workers 2     (--only ours, --only plain: one of the two)

`--make` writes small JPEGs of 64 px, each another part of a photo of PHOTOS, turned, scaled and coloured at random, as
WebDataset shards of 10,000. Parts without a structure, such as sky, are not taken: their hashes say nothing, and would
all be near to each other. Of the rest 2 % are followed by a copy of one of the last parts, compressed anew: that is the
share of near-duplicates, whatever the number of images. Pairs of hashes that are near by chance come on top, and grow
with the square of the number: among 20,000 images some 45,000 within 16 bits (random bits would have 15,500), and 140
within the 8 bits that `duplicates` compares from 200,000 images on: 350,000 among a million. There are no labels.
A million take 2.5 GB and, on two idle cores, five minutes.

Then the recipe runs over them with as many workers as are asked for, and a plain loop of as many processes reads every
shard, decodes each image once, measures the same numbers by the same functions, and compares the hashes in the same
way; it keeps no provenance, writes nothing, and starts again from nothing if it is killed.

Seconds are of the clock and of all CPUs (user and system, of this process and its children): the second ones say more
where the machine has other work as well.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageStat

from augforge.progress import Bar, Progress

SIDE, SHARD = 64, 10_000
FLAT = 20.0
"""Standard deviation of the grey values, of 0 to 255, below which a part is not taken."""
COPIES = 0.02
"""The share of images that are copies of another."""


def shard(number: int, count: int, photos: list[Path], folder: Path) -> None:
    """One shard of random parts of photos, fifty of each, and of copies of some of them."""
    draw = random.Random(number)
    with tarfile.open(folder / f"shard-{number:05d}.tar", "w") as archive:
        for start in range(0, count, 50):
            for place, data in enumerate(_parts(draw.choice(photos), min(50, count - start), draw), start):
                member = tarfile.TarInfo(f"{number:05d}{place:05d}.jpg")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def _parts(photo: Path, count: int, draw: random.Random) -> Iterator[bytes]:
    """JPEGs of parts of a photo that are not flat, some of which are copies of one before."""
    with Image.open(photo) as opened:
        whole = opened.convert("RGB")
    made: list[Image.Image] = []
    tries = 0
    for _ in range(count):
        if made and draw.random() < COPIES:
            yield _jpeg(draw.choice(made), 60)
            continue
        part = _part(whole, draw)
        while ImageStat.Stat(part.convert("L")).stddev[0] < FLAT and tries < 10 * count:  # some photos are all flat
            part, tries = _part(whole, draw), tries + 1
        made.append(part)
        yield _jpeg(part, 85)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


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


# -- seconds ------------------------------------------------------------------------------------------------


class Seconds(NamedTuple):
    """Of the clock, and of all CPUs by this process and its children."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> Seconds:
        """Since some time."""
        ticks = 0
        for listed in Path("/proc/self/task").glob("*/children"):
            for child in listed.read_text().split():
                with suppress(OSError):  # it has just ended, and is counted by `times`
                    ticks += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:15]))
        return Seconds(time.monotonic(), sum(os.times()[:4]) + ticks / os.sysconf("SC_CLK_TCK"))

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def __add__(self, other: Seconds) -> Seconds:  # type: ignore[override]
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __str__(self) -> str:
        return f"{self.wall:8.1f} s, {self.cpu:8.1f} s of CPU"


NONE = Seconds(0.0, 0.0)


# -- the plain loop -----------------------------------------------------------------------------------------


def plain_shard(path: Path) -> list[tuple[str, dict[str, float], int]]:
    """Digest, quality and hash of every image of a shard."""
    with tarfile.open(path) as archive:
        files = (archive.extractfile(member) for member in archive if member.name.endswith(".jpg"))
        return measured([file.read() for file in files if file])


def measured(images: list[bytes]) -> list[tuple[str, dict[str, float], int]]:
    """Digest, quality and hash of every image, each decoded once."""
    from augforge.algorithms.duplicates.hashes import hashes_of, reduced, shrunk
    from augforge.data.images import decode
    from augforge.recipe import build_stage

    quality: Any = build_stage("filter", "quality", {})
    rows, greys = [], []
    for data in images:
        rows.append((hashlib.sha256(data).hexdigest(), quality.measure(decode(data))))
        greys.append(reduced(data))
    hashes = [h for start in range(0, len(greys), 64) for h in hashes_of(shrunk(greys[start : start + 64])).tolist()]
    return [(digest, scores, bits) for (digest, scores), bits in zip(rows, hashes, strict=True)]


def plain(folder: Path, processes: int) -> tuple[Seconds, Seconds]:
    """Seconds of measuring everything, and of comparing all hashes within the same distance."""
    from augforge.algorithms.duplicates.pairs import pair_blocks
    from augforge.recipe import build_stage

    began = Seconds.now()
    with get_context("spawn").Pool(processes) as pool:
        found = [row for part in pool.imap(plain_shard, sorted(folder.glob("*.tar"))) for row in part]
        measured = Seconds.now()
    duplicates: Any = build_stage("filter", "duplicates", {})
    hashes = np.array([bits for _, _, bits in found], dtype=np.uint64)
    near = sum(len(pairs) for pairs, _ in pair_blocks(hashes, duplicates.reach(len(hashes)), flips=duplicates.flips))
    print(f"plain loop: {len(found):,} images, {near:,} pairs of hashes that are near")
    return measured - began, Seconds.now() - measured


# -- augforge -----------------------------------------------------------------------------------------------


@dataclass
class Laps(Progress):
    """Seconds between what the progress is told."""

    last: Seconds = field(default_factory=Seconds.now)
    seconds: dict[str, Seconds] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        """What has passed since the last time belongs to `name`."""
        now = Seconds.now()
        self.seconds[name] = self.seconds.get(name, NONE) + (now - self.last)
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
    parser.add_argument("--only", choices=["ours", "plain"])
    given = parser.parse_args()
    if given.make:
        make(given.make, given.data, given.photos, given.workers)
        return
    laps: dict[str, Seconds] = {}
    if given.only != "plain":
        shutil.rmtree(given.out, ignore_errors=True)
        laps = ours(given.data, given.out, given.engine, given.workers).seconds
    for name, seconds in laps.items():
        print(f"  {seconds}  {name}")
    total = sum(laps.values(), start=NONE)
    looking = sum((each for name, each in laps.items() if name.startswith(("read", "quality", "hash"))), start=NONE)
    print(f"augforge: {looking} measuring, {total} in all", flush=True)
    if given.only == "ours":
        return
    measuring, comparing = plain(given.data, given.workers)
    print(f"plain: {measuring} measuring, {comparing} comparing")
    if not given.only:
        for kind, number in (("wall", 0), ("CPU", 1)):
            beside = measuring[number] / looking[number], (measuring + comparing)[number] / total[number]
            print(f"{kind}, beside the plain loop: {beside[0]:.2f} measuring, {beside[1]:.2f} in all")


if __name__ == "__main__":
    main()
