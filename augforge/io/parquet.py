"""Parquet files of images, one or a folder of them, as they lie on the Hugging Face Hub."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice, repeat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing, file_stamp, files_fingerprint, natural, only
from augforge.io.cells import image_bytes, numbers_at, with_image
from augforge.io.columns import CHUNK, Chunk, Columns, TableFile, all_classes, file_split, find_columns
from augforge.io.tables import THINGS, columns_of, feature_list, features_of, groups, parts_of
from augforge.io.writing import Line, Outlet, Row, Shard, Writer

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

OPEN_FILES = 64
CACHE_BYTES = 256 << 20


class ParquetWriter(Writer):
    """`data/train-00000-of-00003.parquet`, to be uploaded as they are: small row groups, columns that the hub knows."""

    shard_bytes: ClassVar[int] = 400 << 20

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """One file."""
        import pyarrow.parquet as pq

        schema = features_of(self.about).arrow_schema
        with outlet.open(f"data/{shard.name}.parquet") as file, pq.ParquetWriter(file, schema) as parquet:
            for group in groups(rows, self.about, schema):
                parquet.write_table(group)
        return []

    def card(self) -> dict[str, Any]:
        """A data file pattern a split, and the columns."""
        files = [{"split": split, "path": f"data/{split}-*"} for split in self.about.splits]
        configs = [{"config_name": "default", "data_files": files}]
        return {"configs": configs, "dataset_info": {"features": feature_list(self.about)}}

    def croissant(self) -> dict[str, Any]:
        """The columns."""
        names = [name for name in features_of(self.about) if name != "scores"]
        columns: dict[str, Any] = {name: {"column": name} for name in names}
        for name in ("image", *(["mask"] if self.about.masks else [])):
            columns[name] = {"column": name, "path": "bytes"}
        if self.about.classes:
            columns["label"] = {"column": "label", "type": "sc:Integer"}
        columns |= {name: parts_of(kind, name) for name, kind in columns_of(self.about).items() if name in THINGS}
        return {"files": ["data/*.parquet"], "encoding": "application/x-parquet", "columns": columns}


class _File(NamedTuple):
    """An open file: its columns, and the row number at which each row group begins, with the end."""

    parquet: pq.ParquetFile
    columns: Columns
    starts: list[int]


class Parquet(Source):
    """A Parquet file, or all below a folder. A locator is `train-00000-of-00001.parquet#12`, row 12 from 0.

    Images are a struct of `bytes` and `path`, or plain binary; labels are a ClassLabel, text or whole numbers. The
    options `image` and `label` name columns. The split is told by the file's path as for `datasets`, or by a column.
    Row groups that were read stay in memory, 256 MiB of them, so that neighbours are quick. Small row groups (of a
    hundred rows, as `datasets` writes them) make random reading quick.
    """

    writer: ClassVar[type[Writer] | None] = ParquetWriter
    format: ClassVar[str] = "Parquet"
    reads_paths = True
    """Whether a row without bytes may name a file."""

    def __init__(
        self, value: str, *, split: str | None = None, image: str | None = None, label: str | None = None
    ) -> None:
        self._start(existing(value), f"parquet {value}", split, image, label)

    def _start(self, path: Path, where: str, split: str | None, image: str | None, label: str | None) -> None:
        self.where = where + (f" (image: {image})" if image else "")
        self._split = split
        self._wanted = image, label
        self._root = path if path.is_dir() else path.parent
        self._names = _parquet_files(path) if path.is_dir() else [path.name]
        if not self._names:
            raise SourceError(f"{self.where}: there are no Parquet files in it", "give a file, or the folder of them")
        self._file = lru_cache(OPEN_FILES)(self._open)
        self._groups: OrderedDict[tuple[str, int, str], pa.ChunkedArray] = OrderedDict()
        self._lock = Lock()
        self._file(self._names[0])

    def classes(self) -> list[str]:
        """The names of the ClassLabel in their order, or the labels there are, in natural order."""
        return all_classes(self._names, lambda name: self._file(name).columns, self._labels)

    def entries(self) -> Iterator[Entry]:
        """File by file in natural order of their paths, row by row."""
        yield from only((entry for name in self._names for entry in self._rows(name)), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever a file was written."""
        return files_fingerprint(self.where, self._root, self._names, self._split, *self._wanted)

    def read(self, locator: str) -> bytes:
        """The bytes in the image column of a row; of a row with a path and no bytes, those of the file."""
        file = self._file_of(locator)
        return self._bytes(locator, file.columns.image)

    def read_mask(self, locator: str) -> bytes:
        """The bytes in the column `mask` of a row, likewise."""
        mask = self._file_of(locator).columns.mask
        return super().read_mask(locator) if mask is None else self._bytes(locator, mask)

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """(n,) the lists of numbers in a column."""
        return numbers_at(locators, self.where, column, lambda name: self._whole(name, column))

    def _whole(self, name: str, column: str) -> pa.ChunkedArray:
        with self._reader(name) as reader:
            names = reader.schema_arrow.names
            if column not in names:
                raise SourceError(f"{self.where}: {name} has no column {column!r}", f"it has {', '.join(names)}")
            return reader.read(columns=[column]).column(column)

    def _file_of(self, locator: str) -> _File:
        name, _, row = locator.rpartition("#")
        if name not in self._names or not row.isdecimal() or int(row) >= self._file(name).starts[-1]:
            raise BadImage(f"there is no row {locator}")
        return self._file(name)

    def _bytes(self, locator: str, column: str) -> bytes:
        name, _, row = locator.rpartition("#")
        starts = self._file(name).starts
        group = bisect_right(starts, int(row)) - 1
        cell = self._cells(name, group, column)[int(row) - starts[group]].as_py()
        return image_bytes(cell, self._root if self.reads_paths else None)

    def _rows(self, name: str) -> Iterator[Entry]:
        columns = self._file(name).columns
        file = TableFile(name, file_split(name), file_stamp(self._root / name))
        masked = self._masked(name)
        first = 0
        for rows in self._light_rows(name):
            yield from columns.entries(file, Chunk(first, rows, list(islice(masked, len(rows)))))
            first += len(rows)

    def _masked(self, name: str) -> Iterator[bool]:
        """Whether each row of a file has a mask. Their bytes are only read where some rows have none."""
        parquet, columns, starts = self._file(name)
        if columns.mask is None or _all_there(parquet, columns.mask):
            yield from repeat(columns.mask is not None, starts[-1])
            return
        with self._reader(name) as reader:
            for batch in reader.iter_batches(CHUNK, columns=[columns.mask]):
                yield from with_image(batch.column(0))

    def _light_rows(self, name: str) -> Iterator[list[dict[str, Any]]]:
        """The rows of a file without their images, in chunks."""
        columns = self._file(name).columns
        if not columns.light:
            total = self._file(name).starts[-1]
            for start in range(0, total, CHUNK):
                yield [{}] * min(CHUNK, total - start)
            return
        with self._reader(name) as reader:
            for batch in reader.iter_batches(CHUNK, columns=columns.light):
                yield batch.to_pylist()

    def _labels(self, name: str) -> list[Any]:
        label = self._file(name).columns.label
        if label is None:
            return []
        with self._reader(name) as reader:
            return list(reader.read(columns=[label]).column(label).unique().to_pylist())

    def _cells(self, name: str, group: int, column: str) -> pa.ChunkedArray:
        """A column of images or masks of a row group, from memory if it was read lately."""
        wanted = name, group, column
        with self._lock:
            if wanted in self._groups:
                self._groups.move_to_end(wanted)
                return self._groups[wanted]
            cells = self._groups[wanted] = self._read_group(*wanted)
            while len(self._groups) > 1 and sum(kept.nbytes for kept in self._groups.values()) > CACHE_BYTES:
                self._groups.popitem(last=False)
            return cells

    def _read_group(self, name: str, group: int, column: str) -> pa.ChunkedArray:
        import pyarrow as pa

        try:
            return self._file(name).parquet.read_row_group(group, columns=[column]).column(column)
        except (pa.ArrowException, OSError) as error:
            raise BadImage(f"row group {group} of its file is damaged: {error}") from error

    def _open(self, name: str) -> _File:
        reader = self._reader(name)
        columns = find_columns(reader.schema_arrow, f"{self.where}: {name}", *self._wanted)
        sizes = (reader.metadata.row_group(group).num_rows for group in range(reader.num_row_groups))
        return _File(reader, columns, list(accumulate(sizes, initial=0)))

    def _reader(self, name: str) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self._root / name)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.where}: {name} is no Parquet file, or damaged: {error}") from error


def _all_there(parquet: pq.ParquetFile, column: str) -> bool:
    """Whether the file itself says that no row of a column of images is without bytes."""
    for group in range(parquet.num_row_groups):
        about = parquet.metadata.row_group(group)
        leaves = [about.column(number) for number in range(about.num_columns)]
        facts = [leaf.statistics for leaf in leaves if leaf.path_in_schema in (column, f"{column}.bytes")]
        if not facts or any(fact is None or not fact.has_null_count or fact.null_count for fact in facts):
            return False
    return True


def _parquet_files(folder: Path) -> list[str]:
    """All Parquet files below a folder, as relative paths in natural order; hidden ones are passed over."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() == ".parquet")
    return sorted((p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts)), key=natural)
