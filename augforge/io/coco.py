"""COCO: `annotations/instances_train.json` beside `images/train/`. A class is the category of the whole image.

Written by augforge, an image has one annotation whose box and outline are the whole image; its mask is a PNG file below
`masks/`, named by `mask_file_name`; and its history lies under the key `augforge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

from augforge.io.coco_reader import NOTES, CocoImages
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, suffix_of


class CocoWriter(Writer):
    """`images/train/NAME.png`, `masks/train/NAME.png` and `annotations/instances_train.json`."""

    shard_rows: ClassVar[int] = 1000
    shard_bytes: ClassVar[int] = 1 << 30

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """The files of some images; their entries in the list of images, and the class of each."""
        with outlet.together():
            return [self._write(row, shard, shard.first + place, outlet) for place, row in enumerate(rows, start=1)]

    def _write(self, row: Row, shard: Shard, number: int, outlet: Outlet) -> Line:
        image: Line = {"id": number, "file_name": row.file_name, "width": row.width, "height": row.height}
        outlet.put(f"images/{shard.split}/{image['file_name']}", row.image)
        if row.mask is not None:
            image["mask_file_name"] = f"{row.name}.{suffix_of(row.mask)}"
            outlet.put(f"masks/{shard.split}/{image['mask_file_name']}", row.mask)
        return {"image": image | {"augforge": row.record()}, "label": row.label}

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The annotations of each split, written image by image."""
        for split in self.about.splits:
            mine = [shard for shard in shards if shard.split == split]
            with outlet.open(f"{NOTES}/instances_{split}.json") as file:
                file.write(b'{"info": ' + dumped({"description": self.about.name}).rstrip() + b', "licenses": [],\n')
                file.write(b'"categories": ' + dumped_list(self._categories()) + b',\n"images": [')
                _write_list(file, (line["image"] for shard in mine for line in lines(shard)))
                file.write(b'],\n"annotations": [')
                _write_list(file, (note for shard in mine for line in lines(shard) for note in self._notes(line)))
                file.write(b"]}\n")

    def _categories(self) -> list[Line]:
        return [{"id": place, "name": name, "supercategory": ""} for place, name in enumerate(self.about.classes, 1)]

    def _notes(self, line: Line) -> Iterator[Line]:
        """The annotation of an image: the whole of it is of its class; none if it has no label."""
        if line["label"] is None:
            return
        image = line["image"]
        width, height = image["width"], image["height"]
        yield {
            "id": image["id"],
            "image_id": image["id"],
            "category_id": self._numbers[line["label"]],
            "bbox": [0, 0, width, height],
            "area": width * height,
            "segmentation": [[0, 0, width, 0, width, height, 0, height]],
            "iscrowd": 0,
        }

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.about.classes, start=1)}

    def card(self) -> dict[str, Any]:
        """Nothing: the hub does not read COCO."""
        return {}

    def croissant(self) -> dict[str, Any]:
        """The annotation files."""
        paths = {name: name for name in ("file_name", "width", "height")} | {n: f"augforge.{n}" for n in RECORD}
        columns = {name: {"jsonPath": f"$.images[*].{path}"} for name, path in paths.items()}
        return {"files": [f"{NOTES}/*.json"], "encoding": "application/json", "columns": columns}


def dumped_list(values: Iterable[Line]) -> bytes:
    """A list of JSON objects, one a line."""
    return b"[" + b",\n".join(dumped(value).rstrip() for value in values) + b"]"


def _write_list(file: Any, values: Iterator[Line]) -> None:
    comma = b"\n"
    for value in values:
        file.write(comma + dumped(value).rstrip())
        comma = b",\n"


class Coco(CocoImages):
    """COCO, as `CocoImages` reads it."""

    writer = CocoWriter
    format = "COCO"
