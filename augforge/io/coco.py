"""COCO: `annotations/instances_train.json` beside `images/train/`. A class is the category of the whole image.

Written by augforge, an image has one annotation whose box and outline are the whole image; its mask is a PNG file below
`masks/`, named by `mask_file_name`; and its history lies under the key `augforge`. Other COCO data sets are read
likewise: an image has a label if all of its annotations are of one category.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing, file_stamp, natural, only, split_name
from augforge.io.columns import file_split
from augforge.io.records import known_of, text_of
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, safe_name, suffix_of

NOTES = "annotations"
LEADS_OUT = "its name leads out of the source"


class CocoWriter(Writer):
    """`images/train/ID.png`, `masks/train/ID.png` and `annotations/instances_train.json`."""

    shard_rows: ClassVar[int] = 1000
    shard_bytes: ClassVar[int] = 1 << 30

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """The files of some images; their entries in the list of images, and the class of each."""
        with outlet.together():
            return [self._write(row, shard, shard.first + place, outlet) for place, row in enumerate(rows, start=1)]

    def _write(self, row: Row, shard: Shard, number: int, outlet: Outlet) -> Line:
        stem = safe_name(row.id)
        image: Line = {"id": number, "file_name": f"{stem}.{row.suffix}", "width": row.width, "height": row.height}
        outlet.put(f"images/{shard.split}/{image['file_name']}", row.image)
        if row.mask is not None:
            image["mask_file_name"] = f"{stem}.{suffix_of(row.mask)}"
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


class Coco(Source):
    """An annotation file, or a folder with `annotations/*.json`. A locator is the path of an image below the folder.

    Images are looked for in `images/SPLIT`, `SPLIT`, `images` and the folder itself, SPLIT being what the annotation
    file's name ends in (`instances_train2017.json`: `train2017`).
    """

    writer = CocoWriter
    format = "COCO"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        path = existing(value)
        self.where = f"coco {value}"
        self._split = split
        if path.is_dir():
            self._files = sorted((path / NOTES).glob("*.json"), key=lambda file: natural(file.name))
            self._root = path
        else:
            self._files = [path]
            self._root = path.parent.parent if path.parent.name == NOTES else path.parent
        if not self._files:
            raise SourceError(f"{self.where}: there is no {NOTES}/*.json in it", "give the annotation file")
        self._real = self._root.resolve()

    def classes(self) -> list[str]:
        """The categories, in the order of the first file that has them."""
        return list(
            dict.fromkeys(name for content in self._contents.values() for name in _categories(content).values())
        )

    def entries(self) -> Iterator[Entry]:
        """File by file, image by image."""
        yield from only(iter(self._all), self._split, self.where)

    def read(self, locator: str) -> bytes:
        """The bytes of a file; BadImage if it is gone, unreadable or outside of the folder."""
        path = self._root / locator
        if self._leads_out(locator):
            raise BadImage(LEADS_OUT)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise BadImage("missing file") from error
        except (OSError, ValueError) as error:
            raise BadImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def read_mask(self, locator: str) -> bytes:
        """The bytes of the file that `mask_file_name` names."""
        if locator not in self._masks:
            return super().read_mask(locator)
        return self.read(self._masks[locator])

    @cached_property
    def _contents(self) -> dict[Path, dict[str, Any]]:
        return {file: self._content(file) for file in self._files}

    def _content(self, file: Path) -> dict[str, Any]:
        try:
            content = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise SourceError(f"{self.where}: {file.name} is damaged: {error}", "make or copy it again") from error
        if not isinstance(content, dict) or not isinstance(content.get("images"), list):
            raise SourceError(f"{self.where}: {file.name} has no list of images", "give an annotation file of COCO")
        return content

    @cached_property
    def _all(self) -> list[Entry]:
        met: set[str] = set()
        found = []
        for file, content in self._contents.items():
            labels = _labels(content)
            images = [image for image in content["images"] if isinstance(image, dict)]
            base = self._base(file, images)
            for image in images:
                entry = self._entry(file, base, image, labels)
                twice = entry.locator in met
                met.add(entry.locator)
                found.append(replace(entry, problem=entry.problem or ("it is listed twice" if twice else "")))
        return found

    @cached_property
    def _masks(self) -> dict[str, str]:
        return {entry.locator: entry.mask.partition(" ")[0] for entry in self._all if entry.mask}

    def _entry(self, file: Path, base: str, image: Mapping[str, Any], labels: Mapping[Any, set[str]]) -> Entry:
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            return Entry(f"{file.name}#{image.get('id')!r}", None, problem="it has no file name")
        locator, mask = f"{base}{name}", self._mask(base, image)
        record = image.get("augforge")
        known = known_of(record) if isinstance(record, dict) else None
        own = text_of(record.get("split")) if known and isinstance(record, dict) else None
        names = labels.get(_number(image), set())
        told = None if known else file_split(file.stem)
        stamp, problem = self._look(locator)
        return Entry(
            locator=locator,
            label=next(iter(names)) if len(names) == 1 else None,
            split=split_name(own) if own else told,
            stamp=stamp,
            carried=known,
            problem=problem,
            mask=f"{mask} {self._look(mask)[0]}" if mask else "",
        )

    def _mask(self, base: str, image: Mapping[str, Any]) -> str:
        name = image.get("mask_file_name")
        return f"{base.replace('images/', 'masks/', 1)}{name}" if isinstance(name, str) and name else ""

    def _look(self, locator: str) -> tuple[str, str]:
        """Stamp and problem of a file."""
        path = self._root / locator
        try:
            if self._leads_out(locator):
                return "", LEADS_OUT
            return (file_stamp(path), "") if path.is_file() else ("", "missing file")
        except (OSError, ValueError) as error:
            return "", f"cannot be read: {getattr(error, 'strerror', None) or error}"

    def _leads_out(self, locator: str) -> bool:
        parts = locator.replace("\\", "/").split("/")
        if ".." in parts or "" in parts or "\0" in locator:
            return True
        return not (self._root / locator).resolve().is_relative_to(self._real)

    def _base(self, file: Path, images: Sequence[Mapping[str, Any]]) -> str:
        """The folder of the images of an annotation file: the first of the usual ones that has one of the first few."""
        split = file.stem.partition("_")[2] or file.stem
        names = [name for image in images[:100] if isinstance(name := image.get("file_name"), str)]
        for base in (f"images/{split}/", f"{split}/", "images/", ""):
            if any(not self._look(f"{base}{name}")[1] for name in names):
                return base
        return ""


def _number(thing: Mapping[str, Any], key: str = "id") -> Any:
    """A number of an image or category, as something that can be looked up."""
    value = thing.get(key)
    return value if isinstance(value, (int, str)) else None


def _categories(content: Mapping[str, Any]) -> dict[Any, str]:
    listed = content.get("categories")
    known = [category for category in listed if isinstance(category, dict)] if isinstance(listed, list) else []
    return {_number(c): name for c in known if (name := text_of(c.get("name"))) is not None}


def _labels(content: Mapping[str, Any]) -> dict[Any, set[str]]:
    """The names of all categories that are annotated in each image, by its number."""
    names = _categories(content)
    listed = content.get("annotations")
    found: dict[Any, set[str]] = {}
    for note in listed if isinstance(listed, list) else []:
        if isinstance(note, dict) and (name := names.get(_number(note, "category_id"))) is not None:
            found.setdefault(_number(note, "image_id"), set()).add(name)
    return found
