"""Which row has which key: a sorted array of hashes of the keys, and the row of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.texts import Bytes, bytes_of, hashes_of_texts

Keys: TypeAlias = "Sequence[str] | Bytes"
FEW = 32
"""So many texts are worth a look at whether all have one length."""
PIECE = 65_536
"""So many keys are looked for at a time."""


class KeyIndex:
    """The rows of several tables, one after the other, found by their keys.

    It takes 8 bytes and 4 for each row (8 beyond 4,294,967,295 rows), however long the keys are: these stay where they
    are, and are compared with what the hashes find. Of a key that is there twice the first row is found. Bytes of zero
    at the end of a key count for nothing.
    """

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        self._chunks = [chunk for column in columns for chunk in column.chunks]
        self._starts = np.cumsum([0, *map(len, self._chunks)], dtype=np.int64)
        hashes = np.empty(self._starts[-1], dtype=np.uint64)
        for start, chunk in zip(self._starts.tolist(), self._chunks, strict=False):
            hashes[start : start + len(chunk)] = hashes_of_texts(bytes_of(chunk))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._rows = hashes[order], order.astype(row_type(len(order)))

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> set[str]:
        """All keys."""
        return {key for chunk in self._chunks for key in chunk.to_pylist()}

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """(n,) the row of each key, -1 where it is missing."""
        found = np.full(len(keys), -1, dtype=np.int64)
        for start in range(0, len(keys) if len(self) else 0, PIECE):
            part = keys[start : start + PIECE]
            self._find(part if isinstance(part, np.ndarray) else _bytes_of(part), found[start : start + PIECE])
        return found

    def _find(self, wanted: Bytes, found: NDArray[np.int64]) -> None:
        """Write the rows of (n,) keys that are there into `found`."""
        hashes = hashes_of_texts(wanted)
        order = np.argsort(hashes)  # neighbours are near each other in the index, too
        at = np.empty(len(hashes), dtype=np.int64)
        at[order] = np.searchsorted(self._hashes, hashes[order])
        open_ = np.arange(len(wanted))
        while len(open_):
            open_ = open_[at[open_] < len(self._hashes)]
            open_ = open_[self._hashes[at[open_]] == hashes[open_]]
            rows = self._rows[at[open_]].astype(np.int64)
            same = self._at(rows) == wanted[open_]
            found[open_[same]] = rows[same]
            open_ = open_[~same]
            at[open_] += 1

    def all(self, keys: Keys) -> NDArray[np.int64]:
        """All rows that have one of `keys`, rising."""
        wanted = keys if isinstance(keys, np.ndarray) else _bytes_of(keys)
        hashes = hashes_of_texts(wanted)
        low, high = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        places = [np.arange(start, stop) for start, stop in zip(low.tolist(), high.tolist(), strict=True)]
        rows = self._rows[np.concatenate([np.zeros(0, dtype=np.int64), *places])].astype(np.int64)
        asked = np.repeat(wanted, high - low)
        return np.unique(rows[self._at(rows) == asked])

    def _at(self, rows: NDArray[np.int64]) -> Bytes:
        """(n,) the keys of `rows` (n,)."""
        numbers = np.searchsorted(self._starts, rows, "right") - 1
        order = np.argsort(numbers, kind="stable")
        found = np.zeros(len(rows), dtype="S1")
        for places in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []:
            number = numbers[places[0]]
            keys = bytes_of(self._chunks[number].take(pa.array(rows[places] - self._starts[number])))
            if keys.itemsize > found.itemsize:
                found = found.astype(keys.dtype)
            found[places] = keys
        return found

    def repeats(self) -> bool:
        """Whether a key is there twice."""
        again = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        if not len(again):
            return False
        rows = np.unique(self._rows[np.append(again, again + 1)]).astype(np.int64)
        return len(np.unique(self._at(rows))) < len(rows)

    def same(self) -> NDArray[np.int64]:
        """(n,) the first row that has the key of each row."""
        first = np.arange(len(self))
        new = np.append(True, self._hashes[1:] != self._hashes[:-1])[: len(self)]
        first[self._rows] = self._rows[np.flatnonzero(new)][np.cumsum(new) - 1]
        twice = np.flatnonzero(first != np.arange(len(self)))
        for start in range(0, len(twice), PIECE):
            rows = twice[start : start + PIECE]
            other = rows[self._at(rows) != self._at(first[rows])]  # another key with the same hash
            first[other] = self.find(self._at(other))
        return first


def row_type(count: int) -> type[np.uint32 | np.int64]:
    """The smallest type that has a number for each of `count` rows."""
    return np.uint32 if count <= np.iinfo(np.uint32).max else np.int64


def _bytes_of(texts: Sequence[str]) -> Bytes:
    """(n,) the texts in UTF-8. Those of one length, as ids and digests are, need not be copied one by one."""
    width = len(texts[0]) if len(texts) else 0
    if width and len(texts) >= FEW and set(map(len, texts)) == {width} and (joined := "".join(texts)).isascii():
        return np.frombuffer(joined.encode(), dtype=f"S{width}")
    return np.array([text.encode() for text in texts], dtype=np.bytes_)
