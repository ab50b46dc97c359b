"""Columns that hardly ever change once they are written: few rows in memory, many in a file of their own.

Rows are Arrow batches. Up to `IN_MEMORY` of them stay in memory; what comes beyond is written as one file for each
`extend`, which has no name and so is gone with the last that reads it, even if the process is killed. Files are mapped,
and the pages that were read are given back after each batch, so that memory does not grow with the number of rows.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.files import named
from augforge.data.texts import bytes_of

IN_MEMORY = 100_000
"""So many rows stay in memory."""
BATCH_ROWS, BATCH_BYTES = 65_536, 64 << 20
"""A batch on the disk has about so many rows or bytes, whichever comes first."""
PIECE = 65_536
"""So many rows are looked up at a time."""

Places = NDArray[np.int64]


class Rows:
    """A table that only grows. `folder` is where its files are made; without one, where temporary files lie."""

    def __init__(self, schema: pa.Schema, folder: Path | None = None) -> None:
        self.schema, self._folder = schema, folder
        self._batches: list[_Batch] = []
        self._starts = np.zeros(1, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def copy(self) -> Rows:
        """The same rows, for one that goes on in another way: batches are shared, as nobody changes them."""
        made = Rows(self.schema, self._folder)
        made._set(self._batches)
        return made

    def _set(self, batches: Sequence[_Batch]) -> None:
        self._batches = list(batches)
        self._starts = np.cumsum([0, *(each.rows.num_rows for each in batches)], dtype=np.int64)

    def extend(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows; all of them, or none where `batches` or the disk fails.

        Raises:
            StoreError: the disk is full, or cannot be written to.
        """
        written = [each for each in self._batches if each.file is not None]
        young = [each.rows for each in self._batches if each.file is None]  # they are the last ones
        count, new, file = sum(each.num_rows for each in young), list[pa.RecordBatch](), None
        for batch in batches:
            new.append(batch)
            count += batch.num_rows
            if count > IN_MEMORY:
                file = file or _File(self.schema, self._folder)
                young, new = [], file.write([*young, *new])
        if file is None:
            self._set([*self._batches, *map(_Batch, _together(new))])
        else:
            file.write(new, last=True)
            self._set([*written, *file.read()])

    def changed(self, name: str, places: Places, texts: Iterable[str]) -> Rows:
        """The same rows, written anew, with `texts` (n,) in the column `name` at the different `places` (n,)."""
        new = dict(zip(places.tolist(), texts, strict=True))
        made = Rows(self.schema, self._folder)
        made.extend(self._with(name, new))
        return made

    def _with(self, name: str, new: Mapping[int, str]) -> Iterator[pa.RecordBatch]:
        """The batches with the texts of `new` in the column `name`, by the places of their rows."""
        column = self.schema.get_field_index(name)
        start = 0
        for batch in self.batches(self.schema.names):
            old = batch.column(column).to_pylist()
            texts = [new.get(start + row, text) for row, text in enumerate(old)]
            yield batch.set_column(column, self.schema.field(name), pa.array(texts, self.schema.field(name).type))
            start += batch.num_rows

    def batches(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """The columns `names` of the rows from `start` to `stop`, a batch at a time."""
        stop = len(self) if stop is None else stop
        for first, batch in zip(self._starts.tolist(), self._batches, strict=False):
            low, high = max(start - first, 0), min(stop - first, batch.rows.num_rows)
            if low < high:
                yield batch.rows.select(list(names)).slice(low, high - low)
                batch.release()

    def take(self, places: Places, names: Sequence[str]) -> pa.Table:
        """The columns `names` of the rows at `places` (n,), in that order; n is best at most `PIECE`."""
        rising = bool((np.diff(places) >= 0).all())
        order = np.arange(len(places)) if rising else np.argsort(places, kind="stable")
        ordered = places[order]
        numbers = np.searchsorted(self._starts, ordered, "right") - 1
        found = []
        for part in np.split(np.arange(len(ordered)), np.flatnonzero(np.diff(numbers)) + 1) if len(ordered) else []:
            batch = self._batches[numbers[part[0]]]
            inside = ordered[part] - self._starts[numbers[part[0]]]
            found.append(batch.rows.select(list(names)).take(pa.array(inside)))
            batch.release()
        table = pa.Table.from_batches(found, pa.schema([self.schema.field(name) for name in names]))
        if rising:
            return table
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return table.combine_chunks().take(pa.array(back))

    def pieces(self, name: str, places: Places | None = None) -> Iterator[pa.Array]:
        """A column of all rows or of those at `places` (n,), in that order and a piece at a time."""
        if places is None:
            yield from (batch.column(0) for batch in self.batches([name]))
            return
        for start in range(0, len(places), PIECE):
            yield from self.take(places[start : start + PIECE], [name]).column(0).chunks

    def texts(self, name: str, places: Places | None = None) -> NDArray[np.bytes_]:
        """(n,) a column of texts in UTF-8, as wide as the longest; "" where there is none."""
        found = np.zeros(len(self) if places is None else len(places), dtype="S1")
        start = 0
        for piece in map(bytes_of, self.pieces(name, places)):
            if piece.itemsize > found.itemsize:
                found = found.astype(piece.dtype)
            found[start : start + len(piece)] = piece
            start += len(piece)
        return found


class _Batch:
    """Rows in memory, or in a part of a file."""

    def __init__(self, rows: pa.RecordBatch, file: mmap.mmap | None = None) -> None:
        self.rows, self.file = rows, file

    def release(self) -> None:
        """Let go of the pages that were read; whoever still looks at them reads them again."""
        if self.file is not None:
            self.file.madvise(mmap.MADV_DONTNEED)


class _File:
    """An Arrow file without a name, which is written once and then read."""

    def __init__(self, schema: pa.Schema, folder: Path | None) -> None:
        self._where = folder or Path(tempfile.gettempdir())
        with named(self._where):
            self._file: Any = tempfile.TemporaryFile(dir=self._where)  # noqa: SIM115 (open until it is mapped)
        self._writer = pa.ipc.new_file(self._file, schema)

    def write(self, young: list[pa.RecordBatch], last: bool = False) -> list[pa.RecordBatch]:
        """Write the rows if they fill a batch, or in any case if they are the last ones; what is left."""
        if not last and not _is_full(young):
            return young
        together = _together(young)
        left = [] if last or _is_full(together[-1:]) else [together.pop()]
        with named(self._where):
            for rows in together:
                self._writer.write_batch(rows)
        return left

    def read(self) -> list[_Batch]:
        """What was written, mapped."""
        with named(self._where):
            self._writer.close()
            self._file.flush()
            content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        reader = pa.ipc.open_file(pa.py_buffer(content))
        return [_Batch(reader.get_batch(number), content) for number in range(reader.num_record_batches)]


def _is_full(batches: Sequence[pa.RecordBatch]) -> bool:
    rows, size = sum(each.num_rows for each in batches), sum(each.nbytes for each in batches)
    return bool(rows >= BATCH_ROWS or size >= BATCH_BYTES)


def _together(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The same rows in batches that are full, but for the last one."""
    found: list[pa.RecordBatch] = []
    group: list[pa.RecordBatch] = []
    for batch in batches:
        group.append(batch)
        if _is_full(group):
            found.append(_one(group))
            group = []
    return [*found, _one(group)] if group else found


def _one(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
