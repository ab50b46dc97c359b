"""Rows of many texts in a file that stays mapped: a few are read at once, and what was read is given back."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.vector_parts import mapped


class Stored:
    """The rows of an Arrow file. Columns that are not asked for are not read."""

    def __init__(self, path: Path) -> None:
        self._map = mapped(path)
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows, of these columns; what was read is given back after each batch."""
        for batch in self._batches:
            yield batch.select(names)
            self.forget()

    def take(self, rows: NDArray[np.integer[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
        """The `rows` (m,), in this order, with the columns `names`."""
        found: list[dict[str, Any]] = [{}] * len(rows)
        numbers = np.searchsorted(self._starts, rows, "right") - 1
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            inside = pa.array(np.asarray(rows)[places] - self._starts[number])
            table = self._batches[number].select(names).take(inside)
            for place, row in zip(places.tolist(), table.to_pylist(), strict=True):
                found[place] = row
        return found

    def forget(self) -> None:
        """Give back what was read of the file; the operating system keeps it as long as it has room."""
        if isinstance(self._map, mmap.mmap):
            self._map.madvise(mmap.MADV_DONTNEED)
