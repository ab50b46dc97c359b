"""Stored vectors as a matrix that is read by rows: the files stay mapped, and what was read is given back at once."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.vector_parts import mapped, matrix_of

BLOCK = 8192
"""Rows of which products are computed at a time."""


class VectorRows:
    """The rows of several parts of vectors, one part after the other; float16 or float32, as they are stored.

    Pickled it is the names of its files: another process maps them itself. Memory that is mapped counts as the
    process's as soon as it is read, so each part's pages are given back after every reading of it (MADV_DONTNEED);
    the operating system keeps them in its cache as long as it has room.

    Args:
        paths: the parts, as `Vectors` writes them.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        self._maps = [mapped(path) for path in paths]
        tables = [pa.ipc.open_file(pa.py_buffer(content)).read_all() for content in self._maps]
        self._parts = [matrix_of(table) for table in tables]
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])

    def __reduce__(self) -> tuple[type[VectorRows], tuple[tuple[Path, ...]]]:
        return VectorRows, (self._paths,)

    @property
    def shape(self) -> tuple[int, int]:
        """How many vectors there are, and of how many numbers."""
        return int(self._starts[-1]), self._parts[0].shape[1] if self._parts else 0

    def read(self, rows: NDArray[np.integer]) -> NDArray[Any]:
        """(m, d) float32 copies of the vectors in `rows` (m,), in this order."""
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        numbers = np.searchsorted(self._starts, rows, "right") - 1
        order = np.argsort(numbers, kind="stable")
        for chosen in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []:
            number = int(numbers[chosen[0]])
            found[chosen] = self._parts[number][rows[chosen] - self._starts[number]]
            content = self._maps[number]
            if isinstance(content, mmap.mmap):
                content.madvise(mmap.MADV_DONTNEED)
        return found

    def products(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) the inner product of every vector with one (d,): read where they lie, without a copy of float32."""
        found = np.empty(self.shape[0], dtype=np.float32)
        for start, part, content in zip(self._starts.tolist(), self._parts, self._maps, strict=False):
            for first in range(0, len(part), BLOCK):
                block = part[first : first + BLOCK].astype(np.float32, copy=False)
                found[start + first : start + first + len(block)] = block @ vector
            if isinstance(content, mmap.mmap):
                content.madvise(mmap.MADV_DONTNEED)
        return found
