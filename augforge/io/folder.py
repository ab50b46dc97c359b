"""Folders of image files: a sub-folder a class, perhaps below a folder a split."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from augforge.errors import BadImage, SourceError
from augforge.io.base import SPLITS, Entry, Source, existing_folder, natural, no_split, only, split_name
from augforge.io.masks import Masks, are_masks
from augforge.io.records import METADATA, Records
from augforge.io.stamps import is_folder, stamps
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, safe_name, safe_names, suffix_of

SUFFIXES = frozenset({
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "gif", "tif", "tiff",
    "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "avif", "heic", "heif",
})  # fmt: skip
"""What counts as an image, in any case. HEIC cannot be read, but must not be passed over in silence."""
IMAGES, MASKS = "images", "masks"
"""The folders, in any case, in which data sets with masks keep both."""
MISSING = "missing file"
LEADS_OUT = "symlink leads out of the source"


class FolderWriter(Writer):
    """`train/CLASS/ID.png`, `train/masks/CLASS/ID.png`, and `train/metadata.jsonl` as `imagefolder` reads it."""

    shard_rows: ClassVar[int] = 1000
    shard_bytes: ClassVar[int] = 1 << 30

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """The files of some images; their lines of the metadata."""
        names = safe_names(self.about.classes)
        with outlet.together():
            return [self._write(row, names, shard.split, outlet) for row in rows]

    def _write(self, row: Row, names: Mapping[str, str], split: str, outlet: Outlet) -> Line:
        stem = _join("" if row.label is None else names[row.label], safe_name(row.id))
        line = {"file_name": f"{stem}.{row.suffix}"}
        outlet.put(f"{split}/{line['file_name']}", row.image)
        if row.mask is not None:
            line["mask_file_name"] = f"{MASKS}/{stem}.{suffix_of(row.mask)}"
            outlet.put(f"{split}/{line['mask_file_name']}", row.mask)
        return line | row.record()

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The metadata of each split."""
        for split in self.about.splits:
            with outlet.open(f"{split}/{METADATA}") as file:
                for shard in shards:
                    if shard.split == split:
                        file.writelines(dumped(line) for line in lines(shard))

    def card(self) -> dict[str, Any]:
        """A folder a split."""
        files = [{"split": split, "path": f"{split}/**"} for split in self.about.splits]
        return {"configs": [{"config_name": "default", "data_files": files}]}

    def croissant(self) -> dict[str, Any]:
        """The lines of the metadata."""
        columns = {name: {"column": name} for name in ("file_name", *RECORD)}
        return {"files": [f"*/{METADATA}"], "encoding": "application/jsonlines", "columns": columns}


class _Walk(NamedTuple):
    """A folder to look through: its path below the root, and the real paths of the folders above it."""

    inside: str
    above: frozenset[str]


class Folder(Source):
    """A class per sub-folder; images that lie outside class folders have no label.

    If all top folders are named as splits (train, val, test, …), the class folders are looked for below them.
    Folders below a class belong to it. Hidden files are passed over; `ignored` counts the files that are no images,
    once `entries` has come to its end.

    Masks are found by their names (see `Masks`): in the folder that the option `masks` gives; in `masks` beside
    `images`, which then is no class; or in `masks` beside class folders, if each file in it fits one of their images.

    Where augforge wrote `metadata.jsonl`, at the top or in a folder of the top, it has the last word on the label, the
    split, the mask and the history of the images that it names.
    """

    writer = FolderWriter

    def __init__(self, value: str, *, split: str | None = None, masks: str | None = None) -> None:
        self.where = f"folder {value}"
        self.ignored = 0
        self._root = str(existing_folder(value))
        self._real = os.path.realpath(self._root)
        folders = {} if masks is None else {"": str(existing_folder(masks))}
        self._masks_given, self._masks_real = masks, {os.path.realpath(folder) for folder in folders.values()}
        self._records = Records(Path(self._root), self._folders("") if masks is None else (), self.where)
        tops = self._image_folders("")
        self._bases: list[tuple[str | None, str]] = [(None, "")]
        if tops and all(name.lower() in SPLITS for name in tops):
            self._bases += [(split_name(name), name) for name in tops]
            self._splits = {name for name, _ in self._bases if name}
        else:
            self._splits = set()
        self._split = None if split is None else split_name(split)
        if self._split is not None and self._split not in self._splits and not self._records:
            raise no_split(self._split, self._splits, self.where)
        self._unlabelled: set[str] = set()
        if masks is None and not self._records:
            folders = self._find_masks()
            self._masks_real = {os.path.realpath(folder) for folder in folders.values()}
        self._masks = Masks(folders)

    def classes(self) -> list[str]:
        """The names of the class folders, of all splits and empty ones too, in natural order; of an export its own."""
        if self._records:
            return self._records.classes()
        names = {
            _text(name)
            for base in self._class_bases()
            for name in self._image_folders(base)
            if _join(base, name) not in self._unlabelled
        }
        return sorted(names, key=natural)

    def entries(self) -> Iterator[Entry]:
        """Split by split, class by class, file by file; the loose images of a split first."""
        if self._records:
            yield from only(self._records.told(self._listed()), self._split, self.where)
            return
        if not self._masks:
            yield from self._listed()
            return
        found = False
        for entry in self._masks.given_to(self._listed()):
            found = found or self._masks.path(entry.locator) is not None
            yield entry
        if self._masks_given is not None and not found:
            raise SourceError(
                f"{self.where}: no file in {self._masks_given} is named as one of its images",
                "the mask of cat/a.jpg is cat/a.png or a.png",
            )

    def _listed(self) -> Iterator[Entry]:
        self.ignored = 0
        class_bases = self._class_bases()
        for split, base in self._bases:
            if self._split not in (None, split) and not self._records:
                continue
            yield from self._files(self._scan(base), base, None, split)
            for name in self._image_folders(base) if base in class_bases else ():
                inside = _join(base, name)
                yield from self._below(inside, None if inside in self._unlabelled else _text(name), split)

    def fingerprint(self) -> str:
        """Changes whenever a file was written, added or removed; half the time of a listing."""
        total = hashlib.sha256(repr((self.where, self._split, self._masks_given)).encode())
        for root in filter(None, (self._root, self._masks_given)):
            for line in stamps(root, self._is_inside):
                total.update(line)
        return total.hexdigest()

    def read(self, locator: str) -> bytes:
        """The bytes of a file; BadImage if it is gone, unreadable or outside of the folder."""
        path = os.path.join(self._root, locator)  # noqa: PTH118  # a Path a file is slow
        if not self._is_inside(os.path.realpath(path)):
            raise BadImage(LEADS_OUT)
        try:
            with open(path, "rb") as file:  # noqa: PTH123  # likewise
                return file.read()
        except FileNotFoundError as error:
            raise BadImage(MISSING) from error
        except OSError as error:
            raise BadImage(f"cannot be read: {error.strerror or error}") from error

    def read_mask(self, locator: str) -> bytes:
        """The bytes of the mask of a file; BadImage if it is gone or unreadable."""
        if self._records:
            mask = self._records.mask(locator)
            return self.read(mask) if mask else super().read_mask(locator)
        return self._masks.read(locator)

    def _find_masks(self) -> dict[str, str]:
        """The folders called `masks` that hold masks, by the folder of the images that they belong to."""
        names = {base: {name.lower(): name for name in self._folders(base)} for base in self._class_bases()}
        images = {base: _join(base, there[IMAGES]) for base, there in names.items() if IMAGES in there}
        masks = {base: _join(base, there[MASKS]) for base, there in names.items() if MASKS in there}
        masks = {base: inside for base, inside in masks.items() if self._is_inside(self._real_path(inside))}
        if images.keys() & masks.keys():
            self._unlabelled = set(images.values())
            return {images[base]: _join(self._root, inside) for base, inside in masks.items() if base in images}
        if all(self._are_masks(base, inside) for base, inside in masks.items()):
            return {base: _join(self._root, inside) for base, inside in masks.items()}
        return {}

    def _are_masks(self, base: str, inside: str) -> bool:
        """Whether a folder holds the masks of the images in the folders beside it."""
        others = [_join(base, name) for name in self._folders(base) if _join(base, name) != inside]
        images = (path for other in others for path in self._paths(other, base))
        return are_masks(self._paths(inside, inside), images, _join(self._root, inside))

    def _paths(self, top: str, seen_from: str) -> Iterator[str]:
        """The paths of all images in a folder, inside another one above it."""
        for entry in self._below(top, None, None):
            yield entry.locator.removeprefix(f"{seen_from}/" if seen_from else "")

    def _image_folders(self, base: str) -> list[str]:
        """The folders of a base but for those of masks."""
        folders = self._folders(base)
        if not self._masks_real:
            return folders
        return [name for name in folders if self._real_path(_join(base, name)) not in self._masks_real]

    def _real_path(self, inside: str) -> str:
        return os.path.realpath(_join(self._root, inside))

    def _class_bases(self) -> list[str]:
        return [base for _, base in self._bases if base] or [""]

    def _is_inside(self, real: str) -> bool:
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _scan(self, inside: str) -> list[os.DirEntry[str]]:
        with os.scandir(_join(self._root, inside)) as found:
            return sorted((e for e in found if not _hidden(e.name)), key=lambda e: e.name)

    def _folders(self, inside: str) -> list[str]:
        """The sub-folders of a folder, in natural order."""
        try:
            names = [entry.name for entry in self._scan(inside) if is_folder(entry)]
        except OSError as error:
            raise SourceError(f"{self.where}: {inside or 'it'} cannot be read: {error.strerror}") from error
        return sorted(names, key=natural)

    def _files(
        self, scanned: list[os.DirEntry[str]], inside: str, label: str | None, split: str | None
    ) -> Iterator[Entry]:
        for found in scanned:
            if not is_folder(found):
                yield from self._file(found, _join(inside, found.name), label, split)

    def _below(self, top: str, label: str | None, split: str | None) -> Iterator[Entry]:
        """The files of a class folder and of all folders below it; files first, then folder by folder."""
        waiting = [_Walk(top, frozenset([self._real]))]
        while waiting:
            inside, above = waiting.pop()
            real = self._real_path(inside)
            if problem := self._folder_problem(real, above):
                yield Entry(_text(inside), label, split, problem=problem)
                continue
            try:
                scanned = self._scan(inside)
            except OSError as error:
                yield Entry(_text(inside), label, split, problem=f"folder cannot be read: {error.strerror}")
                continue
            yield from self._files(scanned, inside, label, split)
            folders = [_join(inside, entry.name) for entry in reversed(scanned) if is_folder(entry)]
            waiting += [_Walk(folder, above | {real}) for folder in folders]

    def _folder_problem(self, real: str, above: frozenset[str]) -> str:
        if not self._is_inside(real):
            return LEADS_OUT
        return "symlink leads back to a folder above" if real in above else ""

    def _file(self, found: os.DirEntry[str], locator: str, label: str | None, split: str | None) -> Iterator[Entry]:
        if found.name.rpartition(".")[2].lower() not in SUFFIXES:
            self.ignored += 1
            return
        stamp, problem = self._look(found)
        text = _text(locator)
        if text != locator:
            problem = "its name is not valid UTF-8"
        yield Entry(text, label, split, stamp, problem=problem)

    def _look(self, found: os.DirEntry[str]) -> tuple[str, str]:
        """Stamp and problem of a file."""
        try:
            facts = found.stat()
        except OSError as error:
            return "", MISSING if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        if found.is_symlink() and not self._is_inside(os.path.realpath(found.path)):
            return "", LEADS_OUT
        if not stat.S_ISREG(facts.st_mode):
            return "", "not a regular file"
        return f"{facts.st_size}-{facts.st_mtime_ns}", ""


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _text(name: str) -> str:
    """A file name as text that can be written everywhere: bytes that are not UTF-8 become backslash codes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode(errors="backslashreplace")
    return name
