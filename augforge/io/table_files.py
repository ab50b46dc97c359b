"""The files of tables, read group by group: Parquet; and Arrow, be it an IPC file, a stream or Feather."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from augforge.errors import BadImage
from augforge.io.base import natural
from augforge.io.cells import is_binary
from augforge.io.listing import Listing
from augforge.io.tree import SUFFIXES as IMAGE_SUFFIXES
from augforge.remote.places import file_to_read, local_copy, path_of, walk
from augforge.remote.urls import is_url

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")
ARROW_SUFFIXES = (".arrow", ".arrows", ".feather", ".ftr", ".ipc")
CARD = frozenset({"README.md", "LICENSE", "dataset_info.json", "dataset_infos.json", "croissant.json", "export.json"})
"""Files beside tables that tell about the data set."""
MOST_SEEN = 2000
"""Files and folders that are looked at to find out what a folder is."""
CHUNK = 4096
MAGIC = b"ARROW1"
FEATHER_1 = b"FEA1"


class Group(Protocol):
    """The cells of a column in a group of rows."""

    @property
    def nbytes(self) -> int:
        """Their size in memory."""

    def __getitem__(self, row: int) -> pa.Scalar:
        """The cell of a row, counted from the first of the group."""


class TableData(Protocol):
    """An open file of a table. Opening one that is damaged raises `pyarrow.ArrowException` or OSError."""

    schema: pa.Schema
    starts: list[int]
    """The row number at which each group begins, with the end."""

    def group(self, number: int, column: str) -> Group:
        """A column of a group of rows."""

    def batches(self, columns: Sequence[str], first: int, last: int) -> Iterator[pa.RecordBatch]:
        """Some columns of the groups from `first` to before `last`, in batches of at most `CHUNK` rows."""

    def all_there(self, column: str) -> bool:
        """Whether it is known without reading that no row of a column of images is without bytes."""


class ParquetData:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path = path
        self._parquet = pq.ParquetFile(file_to_read(path), pre_buffer=is_url(str(path)))
        self.schema = self._parquet.schema_arrow
        sizes = (self._parquet.metadata.row_group(n).num_rows for n in range(self._parquet.num_row_groups))
        self.starts = list(accumulate(sizes, initial=0))

    def group(self, number: int, column: str) -> Group:
        """A column of a row group."""
        found: Group = self._parquet.read_row_group(number, columns=[column]).column(column)
        return found

    def batches(self, columns: Sequence[str], first: int, last: int) -> Iterator[pa.RecordBatch]:
        """The columns of some row groups, from a reader of their own."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(file_to_read(self._path), pre_buffer=is_url(str(self._path))) as parquet:
            yield from parquet.iter_batches(CHUNK, row_groups=range(first, last), columns=list(columns))

    def all_there(self, column: str) -> bool:
        """Whether the statistics say so."""
        return _all_there(self._parquet, column)


def _all_there(parquet: pq.ParquetFile, column: str) -> bool:
    """Whether the file itself says that no row of a column of images is without bytes."""
    paths = [parquet.schema.column(number).path for number in range(len(parquet.schema))]
    leaf = next((number for number, path in enumerate(paths) if path in (column, f"{column}.bytes")), None)
    return leaf is not None and all(_has_no_null(parquet, group, leaf) for group in range(parquet.num_row_groups))


def _has_no_null(parquet: pq.ParquetFile, group: int, leaf: int) -> bool:
    facts = parquet.metadata.row_group(group).column(leaf).statistics
    return facts is not None and bool(facts.has_null_count) and not facts.null_count


class ArrowData:
    """An Arrow IPC file, an IPC stream, or a Feather file of version 2, mapped into memory; a group is a batch."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        path = self._path = local_copy(path)
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
        if start[:4] == FEATHER_1:
            raise pa.ArrowInvalid("it is Feather of version 1: write it again as version 2")
        self._is_stream = start != MAGIC
        if self._is_stream:
            self._batches = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
            self.schema = self._batches.schema
            self._all = self._batches.to_batches()
            sizes = [batch.num_rows for batch in self._all]
        else:
            self._file = self._opened()
            self.schema = self._file.schema
            counted = self._opened(self._lightest()) if len(self.schema) else self._file
            sizes = [counted.get_batch(number).num_rows for number in range(counted.num_record_batches)]
        self.starts = list(accumulate(sizes, initial=0))

    def group(self, number: int, column: str) -> Group:
        """A column of a batch; of a damaged or hostile file, an offset may point anywhere, so it is checked."""
        found: Group = self._batch(number, [column]).column(column)
        return found

    def batches(self, columns: Sequence[str], first: int, last: int) -> Iterator[pa.RecordBatch]:
        """The columns of some batches, in pieces of at most `CHUNK` rows."""
        for number in range(first, last):
            batch = self._batch(number, columns)
            yield from (batch.slice(start, CHUNK) for start in range(0, batch.num_rows, CHUNK))

    def all_there(self, column: str) -> bool:
        """Arrow keeps no statistics."""
        return False

    def _batch(self, number: int, columns: Sequence[str]) -> pa.RecordBatch:
        places = [self.schema.get_field_index(name) for name in columns]
        batch = self._all[number] if self._is_stream else self._opened(*places).get_batch(number)
        found = batch.select(list(columns))
        check_offsets(found)
        return found

    def _opened(self, *places: int) -> pa.ipc.RecordBatchFileReader:
        """A reader of the columns at some places, or of all: only these are decompressed."""
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=list(places)) if places else pa.ipc.IpcReadOptions()
        return pa.ipc.open_file(pa.memory_map(str(self._path)), options=options)

    def _lightest(self) -> int:
        """The place of a column that is quickly read: one that holds neither bytes nor structs, if there is one."""
        import pyarrow.types as t

        light = (n for n, f in enumerate(self.schema) if not (is_binary(f.type) or t.is_nested(f.type)))
        return next(light, 0)


def files_below(folder: Path, suffixes: Collection[str]) -> list[str]:
    """All files of some endings below a folder, as relative paths in natural order; hidden ones are passed over."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return sorted((p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts)), key=natural)


def other_files(folder: Path, known: Collection[Path]) -> dict[str, int]:
    """How many files lie below a folder that are not among the `known`, by their endings; hidden ones, and those that
    tell about a data set, are passed over.
    """
    others: Counter[str] = Counter()
    for inside, folders, files in walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name not in CARD and (path_of(inside) / name).resolve() not in known:
                others[Path(name).suffix.lower() or "no ending"] += 1
    return dict(others)


def holds_only(listing: Listing, suffixes: Collection[str]) -> bool:
    """Whether files of some endings lie anywhere below a folder, and no image file does, as far as `MOST_SEEN` show."""
    there, seen = False, 0
    images = {f".{suffix}" for suffix in IMAGE_SUFFIXES}
    for below in listing.folders():
        endings = {os.path.splitext(name)[1].lower() for name in below.files}  # noqa: PTH122
        if endings & images:
            return False
        there = there or not endings.isdisjoint(suffixes)
        seen += len(below.files) + 1
        if seen > MOST_SEEN:
            break
    return there


def check_offsets(table: pa.Table | pa.RecordBatch) -> None:
    """Raise ArrowInvalid if what a table holds is not where it says: of a damaged file, an offset may point anywhere.

    A text that is no UTF-8 is no reason: it costs its own row, when that is read.
    """
    import pyarrow as pa

    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        table.validate()
        for column in table.columns:
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                chunk.view(_of_bytes(chunk.type)).validate(full=True)


def _of_bytes(kind: pa.DataType) -> pa.DataType:
    """A type, with bytes in place of texts."""
    import pyarrow as pa
    import pyarrow.types as t

    plain = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}
    if kind in plain:
        return plain[kind]
    if t.is_struct(kind):
        return pa.struct([field.with_type(_of_bytes(field.type)) for field in kind])
    if t.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _of_bytes(kind.value_type), kind.ordered)
    if t.is_list(kind) or t.is_large_list(kind):
        inner = kind.value_field.with_type(_of_bytes(kind.value_type))
        return pa.list_(inner) if t.is_list(kind) else pa.large_list(inner)
    return kind


def damage() -> tuple[type[Exception], ...]:
    """What reading a damaged file raises."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError


def group_of(data: TableData, number: int, column: str) -> Group:
    """A column of a group; BadImage if the file is damaged there."""
    try:
        return data.group(number, column)
    except damage() as error:
        raise BadImage(f"row group {number} of its file is damaged: {error}") from error
