"""Pairs of rows that are written once and read a few times: in memory, and beyond that in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.files import named

HELD = 1 << 22
"""So many pairs are held in memory, and read at a time."""


class PairFile:
    """Pairs (p, 2) of numbers of type `kind`. The file is made in `folder`, and gone with the object or the process."""

    def __init__(self, kind: type[np.signedinteger[Any]], folder: Path | None = None) -> None:
        self._kind, self._where = np.dtype(kind), folder or Path(tempfile.gettempdir())
        self._blocks: list[NDArray[Any]] = []
        self._count = 0
        self._file: Any = None

    def add(self, pairs: NDArray[Any]) -> None:
        """Add pairs (p, 2); StoreError where the disk is full or cannot be written to."""
        if not len(pairs):
            return
        self._blocks.append(pairs.astype(self._kind))
        self._count += len(pairs)
        if self._count > HELD:
            self._write()

    def _write(self) -> None:
        with named(self._where):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._where)  # noqa: SIM115 (open as long as this is)
            for block in self._blocks:
                self._file.write(np.ascontiguousarray(block).data)
            self._file.flush()
        self._blocks, self._count = [], 0

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """All pairs, a block at a time; nothing may be added meanwhile."""
        if self._file is not None:
            self._file.seek(0)
            while content := self._file.read(2 * HELD * self._kind.itemsize):
                yield np.frombuffer(content, dtype=self._kind).reshape(-1, 2)
        yield from self._blocks
