"""Parquet files of images, one or a folder of them, as they lie on the Hugging Face Hub; and Arrow files likewise."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from itertools import islice, repeat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing, file_stamp, files_fingerprint, only
from augforge.io.cells import image_bytes, numbers_at, picture, pictures_there
from augforge.io.columns import LABEL_NAMES, Chunk, TableFile
from augforge.io.parquet_writer import ParquetWriter
from augforge.io.splits import configurations, hive_keys, table_split
from augforge.io.table_files import (
    ARROW_SUFFIXES,
    CHUNK,
    PARQUET_SUFFIXES,
    ArrowData,
    Group,
    ParquetData,
    TableData,
    damage,
    files_below,
    group_of,
    other_files,
)
from augforge.io.table_rows import RowReader, Wanted, all_classes, labels_in, light_rows
from augforge.io.writing import Writer

if TYPE_CHECKING:
    import pyarrow as pa

    from augforge.io.understood import Understood

__all__ = ["Arrow", "Parquet", "ParquetWriter"]

OPEN_FILES = 64
CACHE_BYTES = 256 << 20


class _File(NamedTuple):
    """An open file, and how its rows are read."""

    data: TableData
    rows: RowReader


class Parquet(Source):
    """A Parquet file, or all below a folder. A locator is `train-00000-of-00001.parquet#12`, row 12 from 0.

    Images are a struct of `bytes` and `path`, plain binary, or the paths of files, seen from the Parquet file or from
    the folder, and never outside of it. Labels are a ClassLabel, text, whole numbers, lists of these, or the shares of
    all classes. Captions, boxes in `objects` and all other columns are carried along. The options `image` and `label`
    name columns; `boxes` is xywh (as in COCO, unless said) or xyxy. The split is told by the file's path or its Hive
    keys (`split=val/label=cat/`), or by a column.

    A damaged file costs its own rows. Row groups that were read stay in memory, 256 MiB of them, so that neighbours
    are quick. Small row groups (of a hundred rows, as `datasets` writes them) make random reading quick.
    """

    writer: ClassVar[type[Writer] | None] = ParquetWriter
    format: ClassVar[str] = "Parquet"
    reads_paths = True
    """Whether a row without bytes may name a file."""
    called: ClassVar[str] = "Parquet"
    suffixes: ClassVar[tuple[str, ...]] = PARQUET_SUFFIXES

    def __init__(
        self,
        value: str,
        *,
        split: str | None = None,
        image: str | None = None,
        label: str | None = None,
        boxes: str | None = None,
    ) -> None:
        self._start(existing(value), f"{self.called.lower()} {value}", split, Wanted(image, label, boxes))

    def _start(self, path: Path, where: str, split: str | None, wanted: Wanted) -> None:
        self.where = where + (f" (image: {wanted.image})" if wanted.image else "")
        self._split = split
        self._wanted = wanted
        self._root = path if path.is_dir() else path.parent
        self._whole_folder = path.is_dir()
        self._seen: set[Path] = set()
        self._names = files_below(path, self.suffixes) if path.is_dir() else [path.name]
        if not self._names:
            raise SourceError(
                f"{self.where}: there are no {self.called} files in it", "give a file, or the folder of them"
            )
        self._known = frozenset(self._names)
        self._file = lru_cache(OPEN_FILES)(self._open)
        self._damage = cache(self._find_damage)
        self._groups: OrderedDict[tuple[str, int, str], Group] = OrderedDict()
        self._lock = Lock()
        if all(self._damage(name) for name in self._names):
            self._file(self._names[0])

    def classes(self) -> list[str]:
        """The names of the ClassLabel in their order, or the labels there are, in natural order."""
        return all_classes(self._names, self._rows_of, self._labels)

    def entries(self) -> Iterator[Entry]:
        """File by file in natural order of their paths, row by row."""
        yield from only((entry for name in self._names for entry in self._rows(name)), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever a file was written; where rows name files, one of these too."""
        if any(reader and reader.columns.paths for reader in map(self._rows_of, self._names[:1])):
            return super().fingerprint()
        wanted = self._wanted
        options = self._split, wanted.image, wanted.label, *((wanted.boxes,) if wanted.boxes else ())
        return files_fingerprint(self.where, self._root, self._names, *options)

    def read(self, locator: str) -> bytes:
        """The bytes in the image column of a row; of a row with a path and no bytes, those of the file."""
        file = self._file_of(locator)
        return self._bytes(locator, file.rows.columns.image)

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes in the column of that name of a row, likewise."""
        there = name in self._file_of(locator).rows.columns.pictures
        return self._bytes(locator, name) if there else super().read_picture(locator, name)

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """(n,) the lists of numbers in a column."""
        return numbers_at(locators, self.where, column, lambda name: self._whole(name, column))

    def unused(self) -> Mapping[str, int]:
        """Files that are no tables and that no row names, by their endings."""
        known = {(self._root / name).resolve() for name in self._names} | self._seen
        return other_files(self._root, known) if self._whole_folder else {}

    def notes(self, told: Understood) -> list[str]:
        """The remarks."""
        return self.remarks

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the files and columns: a sentence each."""
        said = [f"{name}: {damage}" for name in self._names if (damage := self._damage(name))]
        several = configurations(self._names)
        if several:
            said.append(
                f"it holds several configurations, all of which are read ({', '.join(several)}): give one of them"
            )
        readers = [reader for name in self._names if (reader := self._rows_of(name))]
        return [*said, *dict.fromkeys(remark for reader in readers for remark in reader.remarks)]

    def _whole(self, name: str, column: str) -> pa.ChunkedArray:
        import pyarrow as pa

        data = self._file(name).data
        if column not in data.schema.names:
            raise SourceError(
                f"{self.where}: {name} has no column {column!r}", f"it has {', '.join(data.schema.names)}"
            )
        try:
            batches = list(data.batches([column], 0, len(data.starts) - 1))
        except damage() as error:
            raise SourceError(f"{self.where}: column {column!r} of {name} is damaged: {error}") from error
        return pa.chunked_array([batch.column(0) for batch in batches], type=data.schema.field(column).type)

    def _file_of(self, locator: str) -> _File:
        name, _, row = locator.rpartition("#")
        if name not in self._known or not row.isdecimal() or int(row) >= self._file(name).data.starts[-1]:
            raise BadImage(f"there is no row {locator}")
        return self._file(name)

    def _bytes(self, locator: str, column: str) -> bytes:
        name, _, row = locator.rpartition("#")
        starts = self._file(name).data.starts
        group = bisect_right(starts, int(row)) - 1
        cells = self._cells(name, group, column)
        try:
            cell = cells[int(row) - starts[group]].as_py()
        except (IndexError, ValueError) as error:
            raise BadImage(f"row group {group} of its file is damaged: {error}") from error
        return image_bytes(cell, self._root if self.reads_paths else None, (self._root / name).parent)

    def _look(self, name: str, path: Any) -> tuple[str, str]:
        """Stamp and problem of the file that a row names."""
        try:
            found = picture(path, self._root if self.reads_paths else None, (self._root / name).parent)
            self._seen.add(found)
            return file_stamp(found), ""
        except BadImage as error:
            return "", error.message

    def _rows(self, name: str) -> Iterator[Entry]:
        labels = (*LABEL_NAMES, *([self._wanted.label] if self._wanted.label else []))
        split, damage = table_split(name, labels), self._damage(name)
        if damage:
            yield Entry(name, None, split, problem=damage)
            return
        reader = self._file(name).rows
        file = TableFile(name, split, file_stamp(self._root / name), hive_keys(name))
        there = self._pictures(name)
        first = 0
        for rows, problems in self._light_rows(name):
            chunk = Chunk(first, rows, list(islice(there, len(rows))), problems)
            yield from reader.entries(file, chunk, lambda path: self._look(name, path))
            first += len(rows)

    def _pictures(self, name: str) -> Iterator[list[str]]:
        """The names of the pictures that go with each row of a file. Their bytes are only read where some have none.

        Where they are damaged there is one, which cannot be read.
        """
        data, reader = self._file(name)
        names = list(reader.columns.pictures)
        doubtful = [each for each in names if not data.all_there(each)]
        sure = [each for each in names if each not in doubtful]
        if doubtful:
            with suppress(*damage()):
                for batch in data.batches(doubtful, 0, len(data.starts) - 1):
                    yield from ([*sure, *there] for there in pictures_there(batch, doubtful))
        yield from repeat(names)

    def _light_rows(self, name: str) -> Iterator[tuple[list[dict[str, Any]], list[str]]]:
        """The rows of a file without their images, and what is wrong with each, in chunks."""
        data, reader = self._file(name)
        total = data.starts[-1]
        if not reader.light:
            for start in range(0, total, CHUNK):
                yield [{}] * min(CHUNK, total - start), []
            return
        yield from light_rows(data, reader.light)

    def _labels(self, name: str) -> set[str]:
        """All labels of a file: from the label column alone, where it is enough."""
        reader = self._file(name).rows
        if reader.columns.label is None or not reader.plain:
            return labels_in(self._rows(name))
        try:
            values = self._whole(name, reader.columns.label).unique().to_pylist()
        except (SourceError, ValueError):  # a damaged group, or a text that is no UTF-8, costs only its own rows
            return labels_in(self._rows(name))
        return {str(value) for value in values if value is not None}

    def _cells(self, name: str, group: int, column: str) -> Group:
        """A column of pictures of a row group, from memory if it was read lately."""
        wanted = name, group, column
        with self._lock:
            if wanted in self._groups:
                self._groups.move_to_end(wanted)
                return self._groups[wanted]
            cells = self._groups[wanted] = self._read_group(*wanted)
            while len(self._groups) > 1 and sum(kept.nbytes for kept in self._groups.values()) > CACHE_BYTES:
                self._groups.popitem(last=False)
            return cells

    def _read_group(self, name: str, group: int, column: str) -> Group:
        return group_of(self._file(name).data, group, column)

    def _rows_of(self, name: str) -> RowReader | None:
        """How the rows of a file are read; None of a damaged one."""
        return None if self._damage(name) else self._file(name).rows

    def _find_damage(self, name: str) -> str:
        """Why none of the rows of a file can be read; "" if they can."""
        try:
            self._file(name)
        except SourceError as error:
            return (
                error.message.removeprefix(f"{self.where}: ").replace(f"{name} is", "it is").removeprefix(f"{name}: ")
            )
        return ""

    def _open(self, name: str) -> _File:
        try:
            data = self._data(self._root / name)
            return _File(data, RowReader(data.schema, f"{self.where}: {name}", self._wanted, keys=hive_keys(name)))
        except damage() as error:
            raise SourceError(
                f"{self.where}: {name} is no {self.called} file, or damaged: {error}", "make or copy it again"
            ) from error

    def _data(self, path: Path) -> TableData:
        return ParquetData(path)


class Arrow(Parquet):
    """An Arrow IPC file or stream, or a Feather file, or all of these below a folder; otherwise as `Parquet`."""

    writer = None
    format = called = "Arrow"
    suffixes = ARROW_SUFFIXES

    def _data(self, path: Path) -> TableData:
        return ArrowData(path)
