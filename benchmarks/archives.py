"""Reading WebDataset: listing and reading all images of compressed archives, beside one that is not compressed.

python -m benchmarks.archives [--images 4000] [--write]

Every way runs in a process of its own over the same made-up photos of 256 px, read in order and in random order. Peak
memory is what the process takes beyond one that only imports augforge. `again_and_again` is what reading would cost if
an archive were unpacked from its beginning for every image.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.sections import write_section

SUFFIXES = (".tar", ".tar.gz", ".tar.zst")
ORDERS = ("in order", "at random")
AGAIN = 20


def photos(count: int) -> bytes:
    """A tar archive of `count` JPEG files of about 20 kB."""
    random = np.random.default_rng(0)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(count):
            small = Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            file = io.BytesIO()
            small.resize((256, 256), Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
            for name, data in ((f"{number:06d}.jpg", file.getvalue()), (f"{number:06d}.cls", b"%d" % (number % 10))):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def read_all(path: str, order: str) -> dict[str, float]:
    """Seconds to list and to read, and kB of peak memory; `path` "" reads nothing."""
    from augforge.io import open_source

    if not path:
        return {"kB": peak()}
    began = time.perf_counter()
    source = open_source("webdataset", path)
    entries = list(source.entries())
    listed = time.perf_counter()
    places = np.arange(len(entries))
    if order == "at random":
        np.random.default_rng(1).shuffle(places)
    total = sum(len(source.read(entries[place].locator)) for place in places)
    read = time.perf_counter()
    return {"list": listed - began, "read": read - listed, "kB": peak(), "bytes": total, "images": len(entries)}


def peak() -> int:
    """kB of memory that this process had at most; what `getrusage` says would count the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def again_and_again(path: Path) -> float:
    """Seconds a random image if the archive is unpacked from its beginning for each."""
    with tarfile.open(path) as tar:
        names = [member.name for member in tar if member.name.endswith(".jpg")]
    chosen = np.random.default_rng(2).choice(names, AGAIN, replace=False)
    began = time.perf_counter()
    for name in chosen:
        with tarfile.open(path, "r|gz") as tar:
            next(tar.extractfile(member).read() for member in tar if member.name == name)  # type: ignore[union-attr]
    return (time.perf_counter() - began) / AGAIN


def measured(path: str, order: str) -> dict[str, float]:
    """`read_all` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.archives", "--one", path, order]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """Measure, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", nargs=2)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(read_all(*asked.one)))
        return
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".tar": bytes,
        ".tar.gz": lambda data: gzip.compress(data, 6),
        ".tar.zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    }
    with tempfile.TemporaryDirectory() as folder:
        data = photos(asked.images)
        for suffix in SUFFIXES:
            Path(folder, f"x{suffix}").write_bytes(pack[suffix](data))
        text = _table(Path(folder), len(data))
    print(text)
    if asked.write:
        write_section("archives", text)


def _table(folder: Path, size: int) -> str:
    empty = measured("", "")["kB"]
    lines = ["| archive | order | list, times that of .tar | read, times that of .tar | peak memory beyond imports |"]
    lines.append("|---|---|---|---|---|")
    for order in ORDERS:
        plain = measured(str(folder / "x.tar"), order)
        for suffix in SUFFIXES:
            found = plain if suffix == ".tar" else measured(str(folder / f"x{suffix}"), order)
            ratios = f"{found['list'] / plain['list']:.1f} | {found['read'] / plain['read']:.2f}"
            lines.append(f"| {suffix} | {order} | {ratios} | {(found['kB'] - empty) / 1024:.0f} MB |")
    each = measured(str(folder / "x.tar.gz"), "at random")
    times = again_and_again(folder / "x.tar.gz") / ((each["list"] + each["read"]) / each["images"])
    lines.append(
        f"\nAn archive of {size / 1e6:.0f} MB, {each['images']:,.0f} images. Unpacking from the start for every image"
    )
    lines.append(f"would take {times:.0f} times as long an image as all of it does now, listing included.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
