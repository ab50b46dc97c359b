"""COCO: `annotations/instances_train.json` beside `images/train/`, with boxes, outlines, crowds and keypoints.

Written by augforge, an image without boxes has one annotation for its class, whose box and outline are the whole image;
its mask is a PNG file below `masks/`, named by `mask_file_name`; and its history lies under the key `augforge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from augforge.io.coco_own import (
    KEYPOINTS,
    OWN,
    beyond,
    keypoint_names,
    labels_of_things,
    marked,
    notes_of,
    without_names,
)
from augforge.io.coco_reader import NOTES, CocoImages
from augforge.io.own import BOXES, CAPTION
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, picture_folder, suffix_of, write_list


@dataclass(frozen=True, slots=True)
class _Told:
    """What was said of the images of some shards: read again whenever one goes through it, a shard at a time."""

    shards: Sequence[Shard]
    lines: Callable[[Shard], list[Line]]

    def __iter__(self) -> Iterator[Line]:
        return (line for shard in self.shards for line in self.lines(shard))


class CocoWriter(Writer):
    """`images/train/NAME.png`, `masks/train/NAME.png`, `annotations/instances_train.json` and `captions_train.json`."""

    shard_rows: ClassVar[int] = 1000
    shard_bytes: ClassVar[int] = 1 << 30

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """The files of some images; their entries in the list of images, and what is said of each."""
        with outlet.together():
            return [self._write(row, shard, shard.first + place, outlet) for place, row in enumerate(rows, start=1)]

    def _write(self, row: Row, shard: Shard, number: int, outlet: Outlet) -> Line:
        image: Line = {"id": number, "file_name": row.file_name, "width": row.width, "height": row.height}
        outlet.put(f"images/{shard.split}/{image['file_name']}", row.image)
        for name, data in row.pictures.items():
            image[f"{name}_file_name"] = f"{row.name}.{suffix_of(data)}"
            outlet.put(f"{picture_folder(name)}/{shard.split}/{row.name}.{suffix_of(data)}", data)
        image[OWN] = row.record() | {"said": beyond(row.label, row.annotations)}
        notes = notes_of(row.label, row.annotations, (row.height, row.width))
        return {"image": image, "notes": notes, "caption": row.annotations.get(CAPTION)}

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The annotations of each split, written image by image."""
        for split in self.about.splits:
            told = _Told([shard for shard in shards if shard.split == split], lines)
            names = self._point_names(told)
            with outlet.open(f"{NOTES}/instances_{split}.json") as file:
                file.write(self._head() + b'"categories": ' + dumped_list(self._categories(names)) + b",\n")
                _write_lists(file, (line["image"] for line in told), self._notes(told, names))
            if CAPTION in self.about.annotations and any(line["caption"] is not None for line in told):
                with outlet.open(f"{NOTES}/captions_{split}.json") as file:
                    file.write(self._head())
                    _write_lists(file, (_plain(line["image"]) for line in told), _captions(told))

    def _head(self) -> bytes:
        return b'{"info": ' + dumped({"description": self.about.name}).rstrip() + b', "licenses": [],\n'

    def _point_names(self, told: Iterable[Line]) -> dict[str | None, list[str]]:
        """What points are called in each class that things of a split have, None included; nothing without things."""
        there = not self.about.annotations.keys().isdisjoint((BOXES, KEYPOINTS))
        return keypoint_names(note for line in told for note in line["notes"]) if there else {}

    def _categories(self, names: Mapping[str | None, list[str]]) -> list[Line]:
        """The categories, with the names of the keypoints of those that have some."""
        found = list(marked(self._labels, self.about.classes, None in names))
        for category, label in zip(found, [*self._labels, None], strict=False):
            category |= {KEYPOINTS: names[label], "skeleton": []} if names.get(label) else {}
        return found

    def _notes(self, told: Iterable[Line], names: Mapping[str | None, list[str]]) -> Iterator[Line]:
        """The annotations of a split, numbered."""
        numbers = {name: place for place, name in enumerate(self._labels, start=1)}
        number = 0
        for line in told:
            for note in line["notes"]:
                number += 1
                label = note.pop("label")
                category = numbers.get(label, len(numbers) + 1)
                known = {"id": number, "image_id": line["image"]["id"], "category_id": category}
                yield known | without_names(note, names.get(label))

    @cached_property
    def _labels(self) -> list[str]:
        """The classes, and behind them the labels that only things have."""
        return list(dict.fromkeys([*self.about.classes, *labels_of_things(self.about.annotations)]))

    def card(self) -> dict[str, Any]:
        """Nothing: the hub does not read COCO."""
        return {}

    def croissant(self) -> dict[str, Any]:
        """The annotation files."""
        paths = {name: name for name in ("file_name", "width", "height")} | {n: f"augforge.{n}" for n in RECORD}
        paths |= {"image_id": "id"} if self.about.annotations else {}
        columns = {name: {"jsonPath": f"$.images[*].{path}"} for name, path in paths.items()}
        names = ("image_id", "category_id", "bbox", "area", "iscrowd")
        things = {name: {"jsonPath": f"$.annotations[*].{name}"} for name in names}
        found = {"files": [f"{NOTES}/instances_*.json"], "encoding": "application/json", "columns": columns}
        return found | ({"things": things} if self.about.annotations else {})


def _plain(image: Line) -> Line:
    return {name: image[name] for name in ("id", "file_name", "width", "height")}


def _captions(told: Iterable[Line]) -> Iterator[Line]:
    """The captions of a split, numbered as their images."""
    for line in told:
        if line["caption"] is not None:
            yield {"id": line["image"]["id"], "image_id": line["image"]["id"], "caption": line["caption"]}


def dumped_list(values: Iterable[Line]) -> bytes:
    """A list of JSON objects, one a line."""
    return b"[" + b",\n".join(dumped(value).rstrip() for value in values) + b"]"


def _write_lists(file: Any, images: Iterator[Line], notes: Iterator[Line]) -> None:
    """The end of an annotation file: its images and annotations."""
    file.write(b'"images": [')
    write_list(file, images)
    file.write(b'],\n"annotations": [')
    write_list(file, notes)
    file.write(b"]}\n")


class Coco(CocoImages):
    """COCO, as `CocoImages` reads it."""

    writer = CocoWriter
    format = "COCO"
