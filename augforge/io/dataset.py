"""Hugging Face datasets on disk, as `save_to_disk` leaves them: read straight from their Arrow files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing_folder, file_stamp, files_fingerprint, no_split, only, split_name
from augforge.io.cells import NO_IMAGE, image_bytes, numbers_at, picture, pictures_there, with_image
from augforge.io.columns import Chunk, TableFile
from augforge.io.dataset_writer import DatasetWriter
from augforge.io.table_files import CHUNK, check_offsets
from augforge.io.table_rows import RowReader, Wanted, all_classes, labels_in, python_rows
from augforge.remote.places import local_copy

if TYPE_CHECKING:
    import pyarrow as pa

    from augforge.io.understood import Understood

__all__ = ["Dataset", "DatasetWriter"]

OPEN_FILES = 64
AGAIN = "make or copy the dataset again"


class _Part(NamedTuple):
    """One split: its name (None outside of a DatasetDict), its folder below the root, and its features."""

    split: str | None
    inside: str
    features: dict[str, Any]


class Dataset(Source):
    """A `Dataset` or `DatasetDict` directory. A locator is `train/data-00000-of-00001.arrow#12`, row 12 from 0.

    The files are memory-mapped, so that any row is had at once and listing touches no pixels. The options `image`
    and `label` name columns. Rows of a dataset that augforge wrote carry their history.
    """

    writer = DatasetWriter
    format = "Hugging Face dataset"

    def __init__(
        self,
        value: str,
        *,
        split: str | None = None,
        image: str | None = None,
        label: str | None = None,
        boxes: str | None = None,
    ) -> None:
        self.where = f"dataset {value}" + (f" (image: {image})" if image else "")
        self._root = existing_folder(value)
        self._split = split
        self._wanted = Wanted(image, label, boxes)
        self._table = lru_cache(OPEN_FILES)(self._open)
        self._reader = cache(self._new_reader)
        self._files = {file: part for part in self._find_parts() for file in self._files_of(part)}
        self._damaged = {file: damage for file in self._files if (damage := self._find_damage(file))}
        for file in self._files if len(self._damaged) == len(self._files) else ():
            self._reader(file)

    def classes(self) -> list[str]:
        """The names of the ClassLabel in their order, or the labels there are, in natural order."""
        return all_classes([file for file in self._files if file not in self._damaged], self._reader, self._labels)

    def entries(self) -> Iterator[Entry]:
        """Split by split, file by file, row by row."""
        yield from only((entry for file in self._files for entry in self._rows(file)), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever a file was written; where rows name files, one of these too."""
        if any(file not in self._damaged and self._reader(file).columns.paths for file in self._files):
            return super().fingerprint()
        wanted = self._wanted
        options = self._split, wanted.image, wanted.label, *((wanted.boxes,) if wanted.boxes else ())
        return files_fingerprint(self.where, self._root, self._files, *options)

    def read(self, locator: str) -> bytes:
        """The bytes in the image column of a row; of a row with a path and no bytes, those of the file."""
        return self._bytes(locator, None)

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes in the column of that name of a row."""
        return self._bytes(locator, name)

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """(n,) the lists of numbers in a column."""
        return numbers_at(locators, self.where, column, lambda file: self._column(file, column))

    def _bytes(self, locator: str, name: str | None) -> bytes:
        """The bytes in a column of pictures of a row, None for that of the image."""
        file, _, row = locator.rpartition("#")
        try:
            cell = self._table(file).column(name or self._reader(file).columns.image)[int(row)].as_py()
        except (IndexError, KeyError, ValueError, TypeError, SourceError) as error:
            raise BadImage(f"there is no {name or 'image'} in row {locator}") from error
        return image_bytes(cell, self._root / self._files[file].inside)

    @property
    def files(self) -> list[str]:
        """The Arrow files, relative to the dataset, in order."""
        return list(self._files)

    def table(self, file: str) -> pa.Table:
        """A file as a table, mapped into memory."""
        return self._table(file)

    def column(self, file: str, name: str) -> list[Any]:
        """All values of a column of a file; SourceError if there is no such column."""
        return list(self._column(file, name).to_pylist())

    def _column(self, file: str, name: str) -> pa.ChunkedArray:
        table = self._table(file)
        if name not in table.column_names:
            raise SourceError(f"{self.where}: {file} has no column {name!r}", f"it has {', '.join(table.column_names)}")
        return table.column(name)

    def notes(self, told: Understood) -> list[str]:
        """The remarks."""
        return self.remarks

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the files and columns: a sentence each."""
        said = [f"{file}: {damage}" for file, damage in self._damaged.items()]
        readers = [self._reader(file) for file in self._files if file not in self._damaged]
        return [*said, *dict.fromkeys(remark for reader in readers for remark in reader.remarks)]

    def _rows(self, file: str) -> Iterator[Entry]:
        split = self._files[file].split
        if file in self._damaged:
            yield Entry(file, None, split, problem=self._damaged[file])
            return
        reader = self._reader(file)
        columns = reader.columns
        of_file = TableFile(file, split, file_stamp(self._root / file))
        heavy = [name for name in (columns.image, *columns.pictures) if name not in reader.light]
        first = 0
        for batch in self._table(file).select([*heavy, *reader.light]).to_batches(max_chunksize=CHUNK):
            there = pictures_there(batch, columns.pictures)
            rows, problems = _rows_and_problems(batch, reader)
            yield from reader.entries(of_file, Chunk(first, rows, there, problems), lambda path: self._look(file, path))
            first += batch.num_rows

    def _look(self, file: str, path: Any) -> tuple[str, str]:
        """Stamp and problem of the file that a row names."""
        try:
            return file_stamp(picture(path, self._root / self._files[file].inside)), ""
        except BadImage as error:
            return "", error.message

    def _find_parts(self) -> list[_Part]:
        listing = self._root / "dataset_dict.json"
        if not listing.exists():
            return [self._part(None, "")]
        names = [self._inside(str(name)) for name in self._json(listing).get("splits", [])]
        wanted = None if self._split is None else split_name(self._split)
        chosen = [name for name in names if wanted in (None, split_name(name))]
        if not chosen:
            raise no_split(str(wanted), names, self.where)
        return [self._part(split_name(name), name) for name in chosen]

    def _part(self, split: str | None, inside: str) -> _Part:
        info = self._root / inside / "dataset_info.json"
        return _Part(split, inside, (self._json(info).get("features") or {}) if info.exists() else {})

    def _files_of(self, part: _Part) -> list[str]:
        state = self._json(self._root / part.inside / "state.json")
        if state.get("_indices_data_files") or state.get("_indices_files"):
            raise SourceError(
                f"{self.where}: its rows are chosen by an indices file, which is not read",
                "load it with `datasets`, call flatten_indices() and save it again",
            )
        names = [self._inside(str(file["filename"])) for file in state.get("_data_files") or ()]
        return [f"{part.inside}/{name}" if part.inside else name for name in names]

    def _inside(self, name: str) -> str:
        """The name of a file or folder that the dataset lists; SourceError if it leads out of its folder."""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SourceError(f"{self.where}: it names {name!r}, which leads out of its folder", AGAIN)
        return name

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            name = path.relative_to(self._root)
            raise SourceError(f"{self.where}: {name} is missing or damaged: {error}", AGAIN) from error

    def _open(self, file: str) -> pa.Table:
        import pyarrow as pa

        try:
            table = pa.ipc.open_stream(pa.memory_map(str(local_copy(self._root / file)))).read_all()
            check_offsets(table)
            return table
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.where}: {file} is missing or damaged: {error}", AGAIN) from error

    def _new_reader(self, file: str) -> RowReader:
        return RowReader(self._table(file).schema, self.where, self._wanted, self._files[file].features)

    def _find_damage(self, file: str) -> str:
        """Why none of the rows of a file can be read; "" if they can."""
        try:
            self._reader(file)
        except SourceError as error:
            return error.message.removeprefix(f"{self.where}: ")
        return ""

    def _labels(self, file: str) -> set[str]:
        """All labels of a file: from the label column alone, where it is enough."""
        reader = self._reader(file)
        if reader.columns.label is None or not reader.plain:
            return labels_in(self._rows(file))
        try:
            values = self._table(file).column(reader.columns.label).unique().to_pylist()
        except ValueError:  # a text that is no UTF-8
            return labels_in(self._rows(file))
        return {str(value) for value in values if value is not None}


def _rows_and_problems(batch: pa.RecordBatch, reader: RowReader) -> tuple[list[dict[str, Any]], list[str]]:
    """The light columns of the rows of a batch, and what is wrong with each row."""
    rows, problems = python_rows(batch.select(reader.light)) if reader.light else ([{}] * batch.num_rows, [])
    there = with_image(batch.column(reader.columns.image))
    known = problems or [""] * batch.num_rows
    return rows, [one or ("" if image else NO_IMAGE) for one, image in zip(known, there, strict=True)]
