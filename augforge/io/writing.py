"""What every format that can be written shares: rows, shards, names that are safe on any disk, files that are whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar

from augforge.data.formats import HEAD, kind_of
from augforge.data.pictures import MASK
from augforge.errors import StoreError
from augforge.io.base import SPLITS

WORK = ".export"
"""The folder, inside an export, of what is not done yet; gone when the export is complete."""
SYNCING = 8
"""Files that are made durable at a time: measured on one disk, 400 small files a second one by one, 3,000 so."""
SAME = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tiff": "tif", "dib": "bmp", "apng": "png"} | dict.fromkeys(
    ("pgm", "pbm", "pnm"), "ppm"
)
"""Other suffixes that files of a kind may have, with the usual one."""
LONGEST = 80
"""Bytes of the longest name that is made from a label or an id."""
RESERVED = frozenset({
    *SPLITS, "images", "masks", "pictures", "annotations", "data", "metadata", "__macosx", "con", "prn", "aux", "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
})  # fmt: skip
"""Names, in lower case, that mean something to a disk or to a reader of folders."""
RECORD = ("id", "label", "split", "origin", "weight", "caption", "scores", "provenance", "sha256")
"""The keys of `Row.record`, in order."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One image as it is published. `image` and the `pictures` that go with it, by name, are encoded bytes, `sha256` is
    the digest of `image`.

    `marked` says whether the image carries its mark; None where none is due. `name` is what its files are called, safe
    and unlike any other in their folder, and `ending` the suffix that its file had in its source, "" if there was none.
    """

    id: str
    label: str | None
    split: str | None
    origin: str
    weight: float
    caption: str | None
    scores: Mapping[str, float]
    provenance: str
    image: bytes
    width: int
    height: int
    sha256: str
    name: str
    ending: str = ""
    marked: bool | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> Line:
        """All but the pixels as texts and numbers, never null, so that every row has the same types; "" is none."""
        return {
            "id": self.id,
            "label": self.label or "",
            "split": self.split or "",
            "origin": self.origin,
            "weight": self.weight,
            "caption": self.caption or "",
            "scores": json.dumps(self.scores, sort_keys=True),
            "provenance": self.provenance,
            "sha256": self.sha256,
        }

    @property
    def suffix(self) -> str:
        """The suffix of a file with this image, such as "png"."""
        return suffix_of(self.image)

    @property
    def file_name(self) -> str:
        """The name of a file with this image; the suffix is that of its source if it is one of its kind."""
        kept = SAME.get(self.ending.lower(), self.ending.lower()) == self.suffix
        return f"{self.name}.{self.ending if kept else self.suffix}"


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an export before its first row. `splits` has the rows of each split, by the names of files.

    A table has no column of labels without `classes`, none of scores without `measures`, and none of captions where no
    row has one. `pictures` are the names of those that go with some image, `annotations` has the features of the kinds
    of annotation that occur, by name. `shape` says what images were made, such as "RGB, 64x64 px"; "" if they are as
    they were.
    """

    name: str
    classes: Sequence[str]
    measures: Sequence[str]
    captions: bool
    pictures: Sequence[str]
    splits: Mapping[str, int]
    shape: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of one split that is written whole: number `number` of `total`; its first row is row `first` of all."""

    split: str
    number: int
    total: int
    first: int
    rows: int

    @property
    def name(self) -> str:
        """Such as "train-00000-of-00003", as the Hugging Face hub names shards."""
        return f"{self.split}-{self.number:05d}-of-{self.total:05d}"


class Writer(ABC):
    """Writes rows in one format. A shard has at most `shard_rows` rows, and is ended after `shard_bytes`."""

    shard_rows: ClassVar[int] = 100_000
    shard_bytes: ClassVar[int] = 256 << 20
    split_folders: ClassVar[bool] = True
    """Whether the files of each split have a folder of their own; else one name is used once."""
    class_folders: ClassVar[bool] = False
    """Whether the files of each class have a folder of their own; else one name is used once in a split."""

    def __init__(self, about: About) -> None:
        self.about = about

    @staticmethod
    def safe(name: str) -> str:
        """A name for files, equal to `name` if the format can have it."""
        return safe_name(name)

    @abstractmethod
    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """Write a shard; returns one line (JSON) a row of what `finish` has to know, or nothing."""

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:  # noqa: B027
        """Write what stands for all shards, once they are there, if anything; `lines` has what `write` returned."""

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """What the YAML header of the card says of the files, for the Hugging Face hub."""

    @abstractmethod
    def croissant(self) -> dict[str, Any]:
        """Where the records lie, for Croissant: `files` (globs), `encoding`, and `columns`.

        A column is told by `column` or `jsonPath`, and perhaps `path` (inside the cell) and `type`.
        """


class FileWriter(Writer):
    """Writes each image as a file of its own, whose files appear together with those of its shard."""

    shard_rows: ClassVar[int] = 1000
    shard_bytes: ClassVar[int] = 1 << 30

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """The files of some images, and a line for each."""
        with outlet.together():
            return [self._write(row, shard, outlet) for row in rows]

    @abstractmethod
    def _write(self, row: Row, shard: Shard, outlet: Outlet) -> Line:
        """The files of one image; what `finish` has to know of it."""


@dataclass(slots=True)
class Outlet:
    """Writes files below a folder, each whole or not at all; `files` has the size and SHA-256 of each by its name."""

    folder: Path
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    _waiting: list[str] | None = None

    def __post_init__(self) -> None:
        work = self.folder / WORK
        with _mendable(work):
            work.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Write one file; StoreError if it cannot be written."""
        if self._waiting is None:
            with self.open(name) as file:
                file.write(content)
            return
        with _mendable(inside(self.folder, name)):
            self._temporary(name).write_bytes(content)
        self._waiting.append(name)
        self.files[name] = len(content), hashlib.sha256(content).hexdigest()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Files that are `put` in this block appear when it ends well: syncing many at once is eight times as fast."""
        self._waiting = []
        try:
            yield
            with ThreadPoolExecutor(SYNCING) as pool:
                list(pool.map(_sync, map(self._temporary, self._waiting)))
            for name in self._waiting:
                _appear(self._temporary(name), inside(self.folder, name))
        finally:
            for name in self._waiting:
                self._temporary(name).unlink(missing_ok=True)
            self._waiting = None

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file to write to; it appears under its name when the block ends well. StoreError as `put`."""
        path, temporary = inside(self.folder, name), self._temporary(name)
        try:
            with _mendable(path), temporary.open("w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
            _appear(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        self.files[name] = size, digest

    def _temporary(self, name: str) -> Path:
        return self.folder / WORK / f"{hashlib.sha256(name.encode()).hexdigest()}.tmp"


def _appear(temporary: Path, path: Path) -> None:
    """Give a file that is whole its name."""
    with _mendable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)


def _sync(path: Path) -> None:
    with _mendable(path), path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _mendable(path: Path) -> Iterator[None]:
    """What goes wrong with a file as an error that a user can fix."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{path} cannot be written: {reason}", "free some space or choose another --out") from error


def inside(folder: Path, name: str) -> Path:
    """The path of a file below `folder`; ValueError if the name would lead out of it."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or "\0" in name or any(part == ".." for part in parts):
        raise ValueError(f"{name!r} leads out of {folder}")
    return folder.joinpath(*parts)


def safe_name(text: str) -> str:
    """A name for a file or folder, equal to `text` if that is safe on every disk; else another for every text."""
    plain = re.sub(r"[^\w .()+,=@-]", "_", text).strip(" .-")
    if text and plain == text and len(text.encode()) <= LONGEST and text.partition(".")[0].lower() not in RESERVED:
        return text
    short = plain.encode()[: LONGEST // 2].decode(errors="ignore").strip(" .-") or "unnamed"
    short = short.replace(".", "_") if short.partition(".")[0].lower() in RESERVED else short
    return f"{short}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def safe_names(texts: Iterable[str]) -> dict[str, str]:
    """A safe name for each of several texts, no two alike even where a disk does not tell "A" from "a"."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        name = safe_name(text)
        if name.casefold() in taken:
            name = f"{name}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
        names[text] = name
        taken.add(name.casefold())
    return names


def picture_folder(name: str) -> str:
    """The folder of the pictures of a name that go with images, beside those of the images."""
    return "masks" if name == MASK else f"pictures/{safe_name(name)}"


def split_file_name(split: str | None) -> str:
    """What a split is called in the names of files: a word; images without a split go to "train"."""
    if split is None or re.fullmatch(r"[A-Za-z0-9_]{1,40}", split):
        return split or "train"
    word = re.sub(r"[^A-Za-z0-9_]", "_", split)[:24].strip("_") or "split"
    return f"{word}_{hashlib.sha256(split.encode(errors='surrogatepass')).hexdigest()[:8]}"


def suffix_of(data: bytes) -> str:
    """The usual suffix of encoded image bytes; "png" for what is of no known kind."""
    return kind_of(data[:HEAD]) or "png"


def dumped(line: Mapping[str, Any]) -> bytes:
    """A line of JSON."""
    return json.dumps(line, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def write_list(file: Any, values: Iterable[Line]) -> None:
    """Write the JSON objects of a list into an open file, one a line, without the brackets."""
    comma = b"\n"
    for value in values:
        file.write(comma + dumped(value).rstrip())
        comma = b",\n"
