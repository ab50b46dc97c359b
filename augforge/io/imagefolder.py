"""Image files with a table beside them: `imagefolder` of the Hugging Face hub, and any table of paths and labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from augforge.data.pictures import KINDS
from augforge.errors import SourceError
from augforge.io.annotated import counted
from augforge.io.base import Entry, existing, existing_folder, natural, only, split_name
from augforge.io.columns import FILE_NAME, file_split, path_column
from augforge.io.listed import ListedImages, twice
from augforge.io.listing import Listing
from augforge.io.records import named_pictures
from augforge.io.text_columns import meaning
from augforge.io.text_rows import SUFFIXES, TableRow, TextTable, read_table
from augforge.io.tree import SUFFIXES as IMAGE_SUFFIXES
from augforge.io.unused import unused_files
from augforge.remote.places import path_of, walk

METADATA = tuple(f"metadata{suffix}" for suffix in (".csv", ".jsonl", ".parquet"))
DEPTH = 3
"""How deep a metadata file is looked for to find out what a folder is."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, the folder (inside of the source, "" or with a slash) that its paths are seen from, and their column."""

    name: str
    base: str
    column: str
    content: TextTable


class ImageTable(ListedImages):
    """A CSV, TSV, JSONL or Parquet file in which a row tells of an image: its path, seen from the file, and its label.

    The path is in `file_name`, `image_path`, `path` or the like, or in the column that the option `image` names. See
    `augforge.io.text_columns.meaning` for the others. A locator is a path inside of the file's folder.
    """

    format = "table of images"

    def __init__(self, value: str, *, split: str | None = None, image: str | None = None) -> None:
        path = existing(value)
        self.where = f"table {value}"
        self._split, self._image = split, image
        self._root = path.parent
        self._names = [path.name]

    def classes(self) -> list[str]:
        """The labels that are met, in natural order."""
        met = {entry.label for entry in self._all if entry.label is not None}
        several = {label for entry in self._all for label in entry.annotations.get("labels", ())}
        return sorted(met | several, key=natural)

    def entries(self) -> Iterator[Entry]:
        """Table by table, row by row."""
        yield from only(iter(self._all), self._split, self.where)

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the tables, and which pictures that they name are missing."""
        said = [f"{table.name}: {remark}" for table in self._tables for remark in table.content.remarks]
        return [*said, *counted(self._gone, "picture", "named and not there")]

    @cached_property
    def _tables(self) -> list[_Table]:
        return [self._table(name) for name in self._names]

    def _table(self, name: str) -> _Table:
        content = read_table(self._root / name, self.where)
        columns = list(dict.fromkeys(column for row in content.rows for column in row.values))
        column = self._image or path_column(columns)
        if column is None or (columns and column not in columns):
            raise SourceError(
                f"{self.where}: no column of {name} holds the paths of images",
                f"it has {', '.join(columns) or 'no rows'}; name one with the option `image`",
            )
        folder = name.rpartition("/")[0]
        return _Table(name, f"{folder}/" if folder else "", column, content)

    @cached_property
    def _all(self) -> list[Entry]:
        return list(twice(self._entry(table, row) for table in self._tables for row in table.content.rows))

    def _entry(self, table: _Table, row: TableRow) -> Entry:
        name = row.values.get(table.column)
        if row.problem or not isinstance(name, str) or not name:
            return Entry(f"{table.name}#{row.number}", None, problem=row.problem or "it has no file name")
        locator = os.path.normpath(f"{table.base}{name}") if not name.startswith("/") else name
        pictures = self._beside(table, row)
        used = {f"{name}_{FILE_NAME}" for name in pictures}
        values = {name: value for name, value in row.values.items() if name not in used}
        label, split, said = meaning(values, table.column, table.content.types)
        stamp, problem = self._look(locator)
        return Entry(
            locator=locator,
            label=label,
            split=split_name(split) if split else file_split(locator),
            stamp=stamp,
            problem=problem,
            pictures=self._stamps(pictures),
            annotations=said,
        )

    def _beside(self, table: _Table, row: TableRow) -> dict[str, str]:
        """The paths of the pictures that go with an image: a mask, and each `NAME_file_name` that is a file there."""
        named = {
            name: os.path.normpath(f"{table.base}{path}")
            for name, path in named_pictures(row.values).items()
            if f"{name}_{FILE_NAME}" != table.column
        }
        return {name: path for name, path in named.items() if name in KINDS or not self._look(path)[1]}

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        return self._paths

    @cached_property
    def _paths(self) -> dict[str, dict[str, str]]:
        """Paths hold blanks; stamps do not."""
        return {
            entry.locator: {name: stamp.rpartition(" ")[0] for name, stamp in entry.pictures.items()}
            for entry in self._all
            if entry.pictures
        }


class ImageFolder(ImageTable):
    """A folder with `metadata.csv`, `metadata.jsonl` or `metadata.parquet` at its top or in any folder below.

    As `datasets.load_dataset("imagefolder")` reads it: paths are seen from the metadata file, and what it says counts,
    not the names of folders. Images that no metadata file names have no label; `remarks` counts them.
    """

    format = "image folder with a table"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        self.where = f"imagefolder {value}"
        self._split, self._image = split, None
        self._root = existing_folder(value)
        self._names = [path.relative_to(self._root).as_posix() for path in metadata_files(self._root)]
        if not self._names:
            raise SourceError(f"{self.where}: there is no {' or '.join(METADATA)} in it", "add one, or kind: folder")

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the tables, and how many images none of them names."""
        count = len(self._unnamed)
        one = [f"{count} images are named by no metadata file: they have no label"] if count else []
        return [*super().remarks, *one]

    def unused(self) -> Mapping[str, int]:
        """Files besides the images that no metadata file names."""
        used = {*self._names, *(entry.locator for entry in self._all)}
        used.update(path for named in self._paths.values() for path in named.values())
        return unused_files(self._root, used)

    @cached_property
    def _all(self) -> list[Entry]:
        named = list(twice(self._entry(table, row) for table in self._tables for row in table.content.rows))
        return [*named, *(Entry(name, None, file_split(name), self._look(name)[0]) for name in self._unnamed)]

    @cached_property
    def _unnamed(self) -> list[str]:
        known = {os.path.normpath(f"{t.base}{r.values.get(t.column)}") for t in self._tables for r in t.content.rows}
        beside = (self._beside(table, row) for table in self._tables for row in table.content.rows)
        known.update(path for pictures in beside for path in pictures.values())
        return [name for name in _image_files(self._root) if name not in known]


def holds_metadata(listing: Listing) -> bool:
    """Whether a folder, or one of the first few below it, has a metadata file of others."""
    for below in listing.folders(DEPTH):
        name = "" if below.linked else next((name for name in METADATA if name in below.files), "")
        if name and is_foreign(listing.root / below.above / name):
            return True
    return False


def metadata_files(folder: Path) -> list[Path]:
    """The metadata files in a folder and those below it, in natural order."""
    found: list[Path] = []
    for inside, folders, files in walk(folder):
        here = path_of(inside)
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        found += [here / name for name in METADATA if name in files][:1]
    return found


def is_foreign(path: Path) -> bool:
    """Whether a metadata file was written by others than augforge."""
    from augforge.io.records import OURS, parsed

    if path.suffix != ".jsonl":
        return True
    try:
        with path.open("rb") as file:
            record = parsed(next(iter(file), b""))
    except OSError:
        return False
    return record is None or not record.keys() >= OURS


def is_table(path: Path) -> bool:
    """Whether a file is named as a table that could tell of images."""
    return path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".parquet"


def _image_files(root: Path) -> Iterator[str]:
    """The paths of all image files below a folder, told by their endings."""
    for inside, folders, files in walk(root):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        for name in sorted(files, key=natural):
            if not name.startswith(".") and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES:
                yield (path_of(inside) / name).relative_to(root).as_posix()
