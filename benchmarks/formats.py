"""How fast data sets are read, beside `datasets` (imagefolder, parquet) and pycocotools on the same files.

    python benchmarks/formats.py --images 5000 --rounds 5

Made-up JPEGs of smooth noise in four classes, written once as class folders, as one folder with `metadata.csv`, as
Parquet (row groups of 100) and as COCO with four boxes an image. `rows` is opening and listing: label and annotations
of every image, no pixels. `bytes` is that and the encoded bytes of every image, `pixels` that and decoding them to RGB
arrays. `datasets` prepares its Arrow cache anew in every round, as on a first use, or streams: both are measured. One
thread, files in the page cache; the order of the ways changes from round to round. A ratio is that of the rates in one
round, the median over rounds with the lowest and highest; above 1 augforge is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.io import open_source

CLASSES = ("ant", "bee", "cat", "dog")
BOXES = 4
WHATS = ("rows", "bytes", "pixels")
Way = Callable[[str], int]
"""Reads all of a data set as far as is said (rows, bytes, pixels); returns how many images it had."""


def picture(number: int, side: int) -> bytes:
    """A JPEG of smooth noise."""
    draws = np.random.default_rng(number).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(draws).resize((side, side), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
    return data.getvalue()


def write_all(root: Path, count: int, side: int) -> None:
    """The same images in each layout."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = [picture(number, side) for number in range(count)]
    labels = [CLASSES[number % len(CLASSES)] for number in range(count)]
    for number, (data, label) in enumerate(zip(pictures, labels, strict=True)):
        for path in (f"folder/{label}/{number:06d}.jpg", f"metadata/{number:06d}.jpg", f"coco/images/{number:06d}.jpg"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
    lines = [f"{number:06d}.jpg,{label},picture {number}" for number, label in enumerate(labels)]
    (root / "metadata/metadata.csv").write_text("\n".join(["file_name,label,caption", *lines]))
    cells = pa.array([{"bytes": data, "path": None} for data in pictures])
    table = pa.table({"image": cells, "label": labels, "caption": [f"picture {number}" for number in range(count)]})
    (root / "parquet").mkdir()
    pq.write_table(table, root / "parquet/train-00000-of-00001.parquet", row_group_size=100)
    (root / "coco/annotations").mkdir()
    (root / "coco/annotations/instances_train.json").write_text(json.dumps(coco(count, side)))


def coco(count: int, side: int) -> dict[str, Any]:
    """The annotation file of COCO, boxes with polygons."""
    names = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    listed = [{"id": n, "file_name": f"{n:06d}.jpg", "width": side, "height": side} for n in range(count)]
    notes = [
        {
            "id": number,
            "image_id": number // BOXES,
            "category_id": number % len(CLASSES),
            "bbox": [1, 2, 20, 10],
            "area": 200,
            "iscrowd": 0,
            "segmentation": [[1, 2, 21, 2, 21, 12, 1, 12]],
        }
        for number in range(count * BOXES)
    ]
    return {"images": listed, "categories": names, "annotations": notes}


def ours(kind: str, path: Path) -> Way:
    """Read with augforge."""

    def read(what: str) -> int:
        source = open_source(kind, str(path))
        source.classes()
        count = 0
        for entry in source.entries():
            count += bool(entry.label or entry.annotations)
            if what != "rows":
                data = source.read(entry.locator)
                _ = images.decode(data) if what == "pixels" else None
        return count

    return read


def of_datasets(builder: str, path: Path, streaming: bool) -> Way:
    """Read with `datasets`, from nothing, or streaming."""
    from datasets import Image as ImageFeature
    from datasets import load_dataset

    def read(what: str) -> int:
        with tempfile.TemporaryDirectory() as cache:
            rows = load_dataset(builder, data_dir=str(path), split="train", cache_dir=cache, streaming=streaming)
            rows = rows.cast_column("image", ImageFeature(decode=what == "pixels"))
            rows = rows.remove_columns("image") if what == "rows" else rows
            return sum(seen(row, what) for row in rows)

    return read


def seen(row: Mapping[str, Any], what: str) -> bool:
    """Whether a row of `datasets` has a label; its bytes or pixels are read."""
    if what == "bytes":
        cell = row["image"]
        _ = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
    elif what == "pixels":
        np.asarray(row["image"].convert("RGB"))
    return row["label"] is not None


def of_pycocotools(path: Path) -> Way:
    """Read with pycocotools: the annotations of every image, and its file."""
    from pycocotools.coco import COCO

    def read(what: str) -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            notes = COCO(str(path / "annotations/instances_train.json"))
        count = 0
        for number, record in notes.imgs.items():
            count += bool(notes.loadAnns(notes.getAnnIds(imgIds=number)))
            if what != "rows":
                data = (path / "images" / record["file_name"]).read_bytes()
                _ = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) if what == "pixels" else None
        return count

    return read


def ways(root: Path) -> dict[str, dict[str, Way]]:
    """The ways to read each layout, ours first."""
    found: dict[str, dict[str, Way]] = {}
    for layout, kind, builder in (
        ("class folders", "folder", "imagefolder"),
        ("imagefolder with metadata", "imagefolder", "imagefolder"),
        ("Parquet", "parquet", "parquet"),
    ):
        path = root / (layout.rpartition(" ")[2] if kind == "imagefolder" else kind)
        found[layout] = {
            "augforge": ours(kind, path),
            "datasets": of_datasets(builder, path, streaming=False),
            "datasets, streaming": of_datasets(builder, path, streaming=True),
        }
    found["COCO"] = {"augforge": ours("coco", root / "coco"), "pycocotools": of_pycocotools(root / "coco")}
    return found


def seconds(way: Way, what: str, count: int) -> float:
    """How long a way takes; it has to read all images."""
    began = time.perf_counter()
    found = way(what)
    took = time.perf_counter() - began
    if found != count:
        raise SystemExit(f"it read {found} of {count} images")
    return took


def measured(by_name: Mapping[str, Way], what: str, count: int, rounds: int) -> dict[str, list[float]]:
    """How many times as fast augforge is as each of the others, in each round."""
    ratios: dict[str, list[float]] = {name: [] for name in by_name if name != "augforge"}
    for number in range(rounds):
        names = list(by_name)[:: 1 if number % 2 else -1]
        took = {name: seconds(by_name[name], what, count) for name in names}
        for name, found in ratios.items():
            found.append(took[name] / took["augforge"])
    return ratios


def show(layout: str, what: str, ratios: Mapping[str, Iterable[float]]) -> None:
    """One line for each of the others."""
    for name, found in ratios.items():
        values = sorted(found)
        middle = statistics.median(values)
        print(f"{layout:26} {what:7} {name:20} {middle:6.2f} ({values[0]:.2f} to {values[-1]:.2f})", flush=True)


def main() -> None:
    """Write the files, warm up, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="class folders, Parquet, …")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    root = Path(tempfile.mkdtemp(prefix="formats-"))
    try:
        from datasets import disable_progress_bars

        disable_progress_bars()
        write_all(root, options.images, options.side)
        print(f"{options.images} JPEGs of {options.side} px, {options.rounds} rounds: augforge's rate / the other's")
        for layout, by_name in ways(root).items():
            if options.only and layout not in options.only:
                continue
            for way in by_name.values():
                way("bytes")
            for what in WHATS:
                show(layout, what, measured(by_name, what, options.images, options.rounds))
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
