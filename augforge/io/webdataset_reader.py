"""The reader of WebDataset: which archives, which samples, and what is known of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.errors import BadImage, SourceError, shortened
from augforge.io.archives import Archives, is_archive
from augforge.io.base import (
    MISSING,
    SPLITS,
    Entry,
    Source,
    existing,
    file_stamp,
    labels_met,
    natural,
    only,
    split_name,
)
from augforge.io.braces import expanded, is_list
from augforge.io.class_list import CLASS_LISTS, class_list
from augforge.io.member_index import MemberIndex
from augforge.io.members import Members, Place, Scan, scan, without_images
from augforge.io.own import annotations_of
from augforge.io.records import declared_classes, known_of, label_of, parsed, text_of
from augforge.io.splits import evaluation_first, path_split
from augforge.io.text_columns import meaning
from augforge.remote.places import common_folder, is_folder, is_there, opened_anew, path_of

if TYPE_CHECKING:
    from augforge.io.understood import Understood

OPEN_FILES = 64
SMALL = 4 << 20
"""Bytes of the largest text (label, record) that is read."""
BESIDE = frozenset({"export.json", "README.md", "croissant.json", *CLASS_LISTS})
"""Files that belong beside archives."""
CAPTIONS = ("txt", "caption", "text")


class Archived(Source):
    """Tar archives: one, all in a folder and those below it, or a list such as `shard-{000..099}.tar`.

    A locator is `train-00000.tar#ID`. An archive may be compressed: `.tar.gz`, `.tgz`, `.tar.zst` (see `Archives`).
    The image is `ID.jpg` or of another suffix; a second picture with words before its suffix, such as `ID.depth.png`,
    goes with it by that name, and `ID.mask.png` or `ID.seg.png` is the mask.

    The label is what `ID.json` says under `label`, else the number or text in `ID.cls`; numbers are names where
    `classes.txt` lies beside the archives. `ID.txt` is the caption. Keys of `ID.json` mean what columns of a table mean
    (`augforge.io.text_columns.meaning`). The split is told by the record, else by the path of the archive or of the
    member; where one of them names an evaluation split, that one counts.

    A name that comes twice counts once. What Macs and tar leave (`._ID.jpg`, `PaxHeader`) and hidden files are passed
    over; other members are counted in `unused`.
    """

    format = "WebDataset"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        self.where = f"webdataset {value}"
        self._split = split
        self._root, self._names = _archives(value)
        self._known = frozenset(self._names)
        self._beside = is_folder(path_of(value))
        if not self._names:
            raise SourceError(
                f"{self.where}: there are no archives in it",
                "give a .tar, .tar.gz or .tar.zst file, or the folder of them",
            )
        self._declared = declared_classes(self._root) or class_list(self._root)[1]
        self._archives = Archives(self._root, self.where)
        self._scans = lru_cache(OPEN_FILES)(self._scan)
        self._places = MemberIndex(self._scan)
        self._met: frozenset[str] | None = None
        self._unused: Counter[str] = Counter()
        self._lost: dict[str, list[str]] = {}

    def classes(self) -> list[str]:
        """The classes that the export or `classes.txt` declares, else the labels that are met, in natural order."""
        if self._met is None and not self._declared:
            for _ in self._all():
                pass
        return self._declared or sorted(self._met or (), key=natural)

    def entries(self) -> Iterator[Entry]:
        """Archive by archive, sample by sample."""
        yield from only(self._all(), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever an archive was written."""
        from augforge.data.ids import key

        stamps = [(name, _stamp(self._root / name)) for name in self._names]
        return key("webdataset", self.where, self._split, self._declared, stamps)

    def unused(self) -> Mapping[str, int]:
        """Members, and files beside the archives, that are not used, by their suffixes."""
        beside: Counter[str] = Counter()
        for path in self._root.rglob("*") if self._beside else ():
            if not (is_archive(path.name) or path.name.startswith(".") or path.name in BESIDE) and path.is_file():
                beside[path.suffix.lower() or path.name] += 1
        return self._unused + beside

    def notes(self, told: Understood) -> Iterator[str]:
        """What is to be said of samples without an image, and of images without any label."""
        if lost := [f"{name}#{stem}" for name, stems in self._lost.items() for stem in stems]:
            yield f"{len(lost):,} {'sample has' if len(lost) == 1 else 'samples have'} no image: {shortened(lost, 3)}"
        if told.images and told.unlabelled == told.images:
            yield "no image has a label: those are read from ID.cls, or `label` in ID.json"

    def read(self, locator: str) -> bytes:
        """The bytes of the image of a sample."""
        return self._bytes(locator, "")

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes of a picture that goes with the image of a sample."""
        return self._bytes(locator, name)

    def _bytes(self, locator: str, what: str) -> bytes:
        """The bytes of a picture of a sample, "" for the image."""
        name, _, stem = locator.partition("#")
        place = self._places.place(name, stem, what) if name in self._known else None
        if place is None:
            raise BadImage(f"there is no {what or 'image'} {locator}")
        return self._archives.part(name, *place)

    def _all(self) -> Iterator[Entry]:
        met: set[str] = set()
        self._unused.clear()
        self._lost.clear()
        for name in self._names:
            for entry in self._of_archive(name):
                met.update(labels_met(entry))
                yield entry
        self._met = frozenset(met)

    def _of_archive(self, name: str) -> Iterator[Entry]:
        stamp = _stamp(self._root / name)
        if stamp == MISSING:
            yield Entry(name, None, _split_of(name, ""), problem=MISSING)
            return
        found = self._scans(name)
        self._places.add(name, found)
        self._unused += found.unused
        if lost := without_images(found.samples.items()):
            self._lost[name] = lost
        for stem, sample in found.samples.items():
            if not sample.image:
                continue
            try:
                yield self._entry(name, stem, sample, stamp)
            except BadImage as error:
                yield Entry(f"{name}#{stem}", None, _split_of(name, stem), stamp, problem=error.message)
        for number, (what, problem) in enumerate(found.refused):
            yield Entry(f"{name}#refused-{number}: {what}", None, _split_of(name, what), stamp, problem=problem)

    def _entry(self, name: str, stem: str, sample: Members, stamp: str) -> Entry:
        record = self._record(name, sample)
        locator, pictures = f"{name}#{stem}", dict.fromkeys(sample.pictures, stamp)
        if (carried := known_of(record)) is not None:
            own = text_of(record.get("split"))
            label = label_of(record, "cls" in sample.texts) if "label" in record else self._class_of(name, sample)
            split = split_name(own) if own else None
            said = annotations_of(record, carried)
            return Entry(locator, label, split, stamp, carried, pictures=pictures, annotations=said)
        label, said_split, said = meaning(record, "", {}) if record else (None, None, {})
        if label is None and "labels" not in said and "label" not in record:
            label = self._class_of(name, sample)
        split = evaluation_first(split_name(said_split) if said_split else None, _split_of(name, stem))
        said = self._with_caption(name, sample, said)
        return Entry(locator, label, split, stamp, pictures=pictures, annotations=said)

    def _record(self, name: str, sample: Members) -> dict[str, Any]:
        text = self._text(name, sample, "json")
        return (parsed(text) or {}) if text else {}

    def _with_caption(self, name: str, sample: Members, said: dict[str, Any]) -> dict[str, Any]:
        """What a record says, with the caption of a text file."""
        text = next(filter(None, (self._text(name, sample, kind) for kind in CAPTIONS)), b"")
        caption = text.decode(errors="replace").strip()
        told = {"caption": caption} if caption else {}
        if caption and said.get("caption", caption) != caption:
            other = {"txt": {"type": "string", "value": caption}}
            return told | said | {"extra": {**said.get("extra", {}), **other}}
        return told | said

    def _class_of(self, name: str, sample: Members) -> str | None:
        text = self._text(name, sample, "cls").decode(errors="replace").strip()
        if text.isascii() and text.isdigit() and len(text) < 9 and int(text) < len(self._declared):
            return self._declared[int(text)]
        return text if text and "\0" not in text else None

    def _text(self, name: str, sample: Members, kind: str) -> bytes:
        place: Place | None = sample.texts.get(kind)
        return b"" if place is None or place.size > SMALL else self._archives.part(name, *place)

    def _scan(self, name: str) -> Scan:
        try:
            with self._archives.opened(name) as (file, problem):
                found = scan(file, name)
        except OSError as error:
            return Scan(refused=[(name, f"its archive cannot be read: {error.strerror or error}")])
        if problem and not any(what == name for what, _ in found.refused):
            found.refused.append((name, f"its archive is damaged: {problem}"))
        return found


def _archives(value: str) -> tuple[Path, list[str]]:
    """The folder of the archives, and their paths inside of it, in natural order or that of the list."""
    if is_list(value) and not is_there(path_of(value)):
        return _listed(value)
    path = existing(value)
    if not path.is_dir():
        return path.parent, [path.name]
    found = [p.relative_to(path).as_posix() for p in path.rglob("*") if is_archive(p.name) and p.is_file()]
    return path, sorted((name for name in found if not name.startswith(".")), key=natural)


def _listed(value: str) -> tuple[Path, list[str]]:
    paths = [opened_anew(name) for name in expanded(value)]
    if not any(path.exists() for path in paths):
        raise SourceError(f"there is none of the files {value}", f"check the path: it is seen from {Path.cwd()}")
    root = common_folder([path.parent for path in paths])
    return root, list(dict.fromkeys(path.relative_to(root).as_posix() for path in paths))


def _split_of(name: str, stem: str) -> str | None:
    """The split that the path of an archive or of a member names; an evaluation split counts before all others."""
    return evaluation_first(*_splits_in(name), path_split(f"{stem}.x"))


@lru_cache(OPEN_FILES)
def _splits_in(name: str) -> tuple[str | None, ...]:
    """What each word in the path of an archive names."""
    return tuple(map(SPLITS.get, re.split(r"[-._ /0-9]+", name.lower())))


def _stamp(path: Path) -> str:
    try:
        return file_stamp(path)
    except FileNotFoundError:
        return MISSING
