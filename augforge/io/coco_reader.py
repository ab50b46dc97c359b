"""Read COCO: boxes, outlines, keypoints, captions and panoptic segments of the images that annotation files list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from augforge.data.pictures import KINDS, MASK
from augforge.errors import SourceError
from augforge.io.annotated import counted, normal, one_split
from augforge.io.base import Entry, existing, natural, only, split_name
from augforge.io.coco_notes import KNOWN, CocoFile, Record, looks_like_coco, number
from augforge.io.coco_own import completed, exact_corners, identity_of, own
from augforge.io.coco_places import exported_place, picture_places
from augforge.io.columns import file_split
from augforge.io.listed import ListedImages, label_of, twice
from augforge.io.listing import Listing
from augforge.io.own import corners
from augforge.io.records import known_of, named_pictures, text_of
from augforge.io.sizes import said_size
from augforge.io.unused import unused_files

NOTES = "annotations"
TOP = (NOTES, "")
MOST = 10
"""Numbers of categories that are named."""


@dataclass(frozen=True, slots=True)
class _Image:
    """An image with what each of the files that tell of it says: the file, and the number that it has there."""

    locator: str
    record: Record
    told: list[tuple[CocoFile, Any]]


class CocoImages(ListedImages):
    """An annotation file, or a folder with some: `annotations/*.json`, `*.json`, or `SPLIT/_annotations.coco.json`.

    A locator is the path of an image below the folder. Several files that tell of the same images (instances,
    captions, person_keypoints of one split) are read together. Images are looked for beside the file, in `images`,
    and in folders that are named as the file ends (`instances_train2017.json`: `train2017`).

    Boxes become (x0, y0, x1, y1). An image whose things are of one category has that label; of several, `labels`.
    """

    declares_sizes = True

    def __init__(self, value: str, *, split: str | None = None) -> None:
        path = existing(value)
        self.where = f"coco {value}"
        self._split, self._alone = split, path.is_file()
        if path.is_dir():
            self._root, self._files = path, annotation_files(Listing(path))
        else:
            self._root, self._files = (path.parent.parent if path.parent.name == NOTES else path.parent), [path]
        if not self._files:
            raise SourceError(f"{self.where}: there is no annotation file of COCO in it", "give the annotation file")

    def classes(self) -> list[str]:
        """The categories, in the order of the first file that has them."""
        return list(dict.fromkeys(name for file in self._contents for name in file.classes))

    def entries(self) -> Iterator[Entry]:
        """File by file, image by image."""
        yield from only(twice(map(self._entry, self._images())), self._split, self.where)

    @property
    def remarks(self) -> list[str]:
        """How many annotations are of no image or of a category that their file does not list, and what is missing."""
        undeclared = sum((file.undeclared for file in self._contents), Counter[Any]())
        categories = ", ".join(sorted(map(str, undeclared))[:MOST])
        return [
            *_annotations_are(self.strays, "of an image that no file lists"),
            *_annotations_are(undeclared.total(), f"of a category that its file does not list ({categories})"),
            *counted(self._gone, "picture", "named and not there"),
        ]

    @property
    def strays(self) -> int:
        """How many annotations are of an image that no file lists."""
        return sum(file.strays for file in self._contents)

    @cached_property
    def _contents(self) -> list[CocoFile]:
        return [CocoFile(file, self.where) for file in self._files]

    def _images(self) -> list[_Image]:
        """The images of all files; what several files say of one is put together."""
        found: list[_Image] = []
        by_path: dict[str, _Image] = {}
        for file in self._contents:
            base, mine = self._base(file), set[str]()
            for key, record in file.images.items():
                name = record.get("file_name")
                path = f"{base}{name}" if isinstance(name, str) and name else ""
                if path in by_path and path not in mine:
                    by_path[path].told.append((file, key))
                else:
                    image = _Image(path or f"{file.path.name}#{key!r}", record, [(file, key)])
                    found.append(image)
                    by_path |= {path: by_path.get(path, image)} if path else {}
                mine.add(path)
        return found

    def _entry(self, image: _Image) -> Entry:
        record, file = image.record, image.told[0][0]
        if not isinstance(record.get("file_name"), str) or not record["file_name"]:
            return Entry(image.locator, None, problem="it has no file name")
        ours = record.get("augforge")
        known = known_of(ours) if isinstance(ours, dict) else None
        label, said = _annotations(image.told)
        if isinstance(ours, dict) and known:
            label, said = completed(label, said, ours.get("said"))
        stamp, problem = self._look(image.locator)
        return Entry(
            locator=image.locator,
            label=label,
            split=self._split_of(file, image.locator, ours if known else None),
            stamp=stamp,
            carried=known,
            problem=problem,
            pictures=self._stamps(self._beside(image)),
            annotations=said,
            size=said_size(record.get("width"), record.get("height")),
        )

    def _split_of(self, file: CocoFile, locator: str, ours: Record | None) -> str | None:
        if ours is not None:
            split = text_of(ours.get("split"))
            return split_name(split) if split else None
        named = file_split(file.path.relative_to(self._root).as_posix())
        if named is None:
            return file_split(locator)
        return one_split(locator, [named], self._split is not None, f"{self.where}: {file.path.name}")

    def _beside(self, image: _Image) -> dict[str, str]:
        """The paths of the pictures that go with an image: those that an export names, or its panoptic segments."""
        named = {name: self._place(image, name, path) for name, path in named_pictures(image.record).items()}
        found = {name: path for name, path in named.items() if name in KINDS or not self._look(path)[1]}
        segments = "" if MASK in found else self._segments(image)
        return found | ({MASK: segments} if segments else {})

    def _place(self, image: _Image, name: str, path: str) -> str:
        """Where the picture `path` lies: the first of its places in which a file is that is not the image itself."""
        base = image.locator.removesuffix(str(image.record.get("file_name")))
        if "augforge" in image.record:
            return exported_place(name, path, base)
        places = picture_places(name, path, base, self._inside(image.told[0][0]))
        others = [place for place in places if place != image.locator] or places
        return next((place for place in others if not self._look(place)[1]), others[0])

    def _inside(self, file: CocoFile) -> str:
        """The folder of an annotation file, below the root."""
        return file.path.parent.relative_to(self._root).as_posix().removeprefix(".")

    def unused(self) -> Mapping[str, int]:
        """Files that no annotation file names, if a folder was given."""
        if self._alone:
            return {}
        used = {file.relative_to(self._root).as_posix() for file in self._files}
        for image in self._images():
            used.update(map(normal, [image.locator, *self._beside(image).values()]))
        return unused_files(self._root, used)

    def _segments(self, image: _Image) -> str:
        """The path of the picture of an image's panoptic segments, "" if there is none."""
        for file, key in image.told:
            for note in file.segments(key):
                if isinstance(note.get("file_name"), str):
                    return self._segments_base(file, note["file_name"]) + str(note["file_name"])
        return ""

    def _segments_base(self, file: CocoFile, name: str) -> str:
        stem = file.path.stem
        return self._first_there((f"{NOTES}/{stem}/", f"{stem}/", "panoptic/", f"{NOTES}/"), [name])

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        return self._beside_paths

    @cached_property
    def _beside_paths(self) -> dict[str, dict[str, str]]:
        return {image.locator: beside for image in self._images() if (beside := self._beside(image))}

    def _base(self, file: CocoFile) -> str:
        """The folder of the images of a file: the first of the usual ones that has one of the first few."""
        inside = self._inside(file)
        beside = f"{inside}/" if inside and inside != NOTES else ""
        split = file.path.stem.partition("_")[2] or file.path.stem
        last = split.rpartition("_")[2]
        names = [name for image in list(file.images.values())[:100] if isinstance(name := image.get("file_name"), str)]
        bases = [f"{beside}images/{split}/", f"{beside}images/{last}/", f"{beside}{split}/", f"{beside}{last}/"]
        return self._first_there([*bases, f"{beside}images/", f"{beside}data/", beside, ""], names)


def _annotations_are(count: int, what: str) -> list[str]:
    return [f"{count:,} annotation{'s are' if count > 1 else ' is'} {what}"] if count else []


def annotation_files(listing: Listing) -> list[Path]:
    """The annotation files of COCO in a folder: in `annotations`, at its top, or in folders of its top."""
    near = list(listing.folders(1))
    notes = [below for below in near if below.above == f"{NOTES}/"]
    for folders, pattern in ((notes, "*.json"), (near[:1], "*.json"), (near[1:], "_annotations.coco.json")):
        paths = (listing.root / (f.above + name) for f in folders for name in f.files if fnmatchcase(name, pattern))
        if found := list(filter(looks_like_coco, paths)):
            return sorted(found, key=lambda path: (_rank(path), natural(path.relative_to(listing.root).as_posix())))
    return []


def _rank(path: Path) -> int:
    """Files of instances first: their boxes are the boxes."""
    return 0 if path.name.startswith("instances") else 1


def _annotations(told: Sequence[tuple[CocoFile, Any]]) -> tuple[str | None, dict[str, Any]]:
    """Label and annotations of an image, from all files that tell of it."""
    boxes: dict[Any, dict[str, Any]] = {}
    points: list[dict[str, Any]] = []
    captions: list[str] = []
    notes = [(file, note) for file, key in told for note in file.notes(key)]
    for file, note in notes:
        captions += _texts(note)
        points += _points(note, file)
        for identity, box in _boxes(note, file, len(boxes)):
            boxes.setdefault(identity, box)
    label, several = label_of(box["label"] for box in boxes.values() if "label" in box)
    said: dict[str, Any] = {**several}
    if any(file.tells_of_things for file, _ in told):
        said["boxes"] = list(boxes.values())
    said |= {"keypoints": points} if points else {}
    return _whole_label(notes, label), said | _captions(captions)


def _texts(note: Record) -> list[str]:
    """The caption of an annotation, if it has one."""
    return [note["caption"].strip()] if isinstance(note.get("caption"), str) else []


def _whole_label(notes: Sequence[tuple[CocoFile, Record]], label: str | None) -> str | None:
    """The class of the whole image, where augforge wrote one; else `label`."""
    names = (file.names.get(number(note, "category_id")) for file, note in notes if own(note).get("whole"))
    return next((name for name in names if name is not None), label)


def _captions(captions: list[str]) -> dict[str, Any]:
    """The first caption, and all of them where there are several."""
    if not captions:
        return {}
    several = {"extra": {"captions": {"type": "list<item: string>", "value": captions}}} if len(captions) > 1 else {}
    return {"caption": captions[0], **several}


def _boxes(note: Record, file: CocoFile, place: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The boxes of an annotation with what tells them apart: one, or of panoptic segments one for each."""
    segments = note.get("segments_info")
    for one in segments if isinstance(segments, list) else [note]:
        if isinstance(one, dict) and "bbox" in one and own(one).get("box", True) and not own(one).get("whole"):
            identity = number(one)
            yield (f"box {place}" if identity is None else identity), _box(one, file.names)


def _box(one: Record, names: Mapping[Any, str]) -> dict[str, Any]:
    attributes = one.get("attributes")
    other = {name: value for name, value in one.items() if name not in KNOWN}
    box = {
        "box": exact_corners(one, corners(one["bbox"])),
        "label": names.get(number(one, "category_id")),
        "iscrowd": True if one.get("iscrowd") else None,
        "id": identity_of(one, number(one)),
        "segmentation": one.get("segmentation") or None,
        "attributes": {**other, **(attributes if isinstance(attributes, dict) else {})} or None,
    }
    return {name: value for name, value in box.items() if value is not None}


def _points(note: Record, file: CocoFile) -> list[dict[str, Any]]:
    """The keypoints of an annotation, if it has some."""
    flat = note.get("keypoints")
    if not isinstance(flat, list) or not flat:
        return []
    category = file.categories.get(number(note, "category_id"), {})
    names = own(note).get("names", category.get("keypoints"))
    one = {
        **{name: value for name, value in own(note).items() if name not in ("id", "box", "corners")},
        "points": [flat[place : place + 3] for place in range(0, len(flat), 3)],
        "names": [str(name) for name in names] if isinstance(names, list) else None,
        "label": file.names.get(number(note, "category_id")),
        "id": identity_of(note, number(note)),
    }
    return [{name: value for name, value in one.items() if value is not None}]
