"""Which row has which key: a sorted array of the keys, as wide as the longest of them, and the row of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Keys = NDArray[np.bytes_]
FEW = 32
"""So many texts are worth a look at whether all have one length."""


class KeyIndex:
    """The rows of several tables, one after the other, found by their keys.

    It takes the width of the longest key, in bytes of UTF-8, and 4 bytes for each row (8 beyond 4,294,967,295 rows).
    Of a key that is there twice the first row is found. Bytes of zero at the end of a key count for nothing.
    """

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        joined = np.concatenate([np.zeros(0, dtype="S1"), *map(_keys_of_column, columns)])
        order = np.argsort(joined, kind="stable")
        self._keys: Keys = joined[order]
        self._rows = order.astype(row_type(len(order)))

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> set[str]:
        """All keys."""
        return {key.decode() for key in self._keys.tolist()}

    def find(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """(n,) the row of each key, -1 where it is missing."""
        if not len(self._keys) or not len(keys):
            return np.full(len(keys), -1, dtype=np.int64)
        wanted = _keys_of(keys)
        as_wide = wanted.astype(self._keys.dtype, copy=False)  # numpy would widen the whole index otherwise
        places = np.minimum(np.searchsorted(self._keys, as_wide), len(self._keys) - 1)
        return np.where(self._keys[places] == wanted, self._rows[places].astype(np.int64), -1)


def row_type(count: int) -> type[np.uint32 | np.int64]:
    """The smallest type that has a number for each of `count` rows."""
    return np.uint32 if count <= np.iinfo(np.uint32).max else np.int64


def _keys_of_column(column: pa.ChunkedArray) -> Keys:
    return _keys_of(column.to_pylist())


def _keys_of(texts: Sequence[str]) -> Keys:
    """(n,) the texts in UTF-8. Those of one length, as ids and digests are, need not be copied one by one."""
    width = len(texts[0]) if len(texts) else 0
    if width and len(texts) >= FEW and set(map(len, texts)) == {width} and (joined := "".join(texts)).isascii():
        return np.frombuffer(joined.encode(), dtype=f"S{width}")
    return np.array([text.encode() for text in texts], dtype=np.bytes_)
