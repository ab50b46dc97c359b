"""One part of the stored embeddings, a table of `digest` and `vector`, read as it lies in its mapped file."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Precision = Literal["float16", "float32"]
HEX = 64
_HEXADECIMAL = frozenset("0123456789abcdef")


def vector_type(precision: Precision) -> pa.DataType:
    """The type of one number of a vector."""
    return pa.float16() if precision == "float16" else pa.float32()


def note_of(path: Path) -> str:
    """Name, size in bytes and time of change of a part: what is noted of one that is sound."""
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"


def mapped(path: Path) -> mmap.mmap | bytes:
    """The bytes of a file as they lie on the disk; they stay mapped when the file is removed."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def digests_of(table: pa.Table) -> NDArray[np.bytes_]:
    """(n,) of S64: the digests of a part, as they lie in its mapping."""
    chunks = table.column("digest").chunks
    views = [np.frombuffer(chunk.buffers()[2], dtype=f"S{HEX}", count=len(chunk)) for chunk in chunks]
    return views[0] if len(views) == 1 else np.concatenate(views)


def matrix_of(table: pa.Table) -> NDArray[Any]:
    """(n, d) the vectors of a part, as they lie in its mapping."""
    views = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(len(chunk), -1) for chunk in table["vector"].chunks]
    return views[0] if len(views) == 1 else np.concatenate(views)


def prefixes_of(digests: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """(n,) the first 64 bits of each digest."""
    raw = bytes.fromhex(np.ascontiguousarray(digests).tobytes().decode("ascii"))
    return np.frombuffer(raw, dtype=">u8")[::4].astype(np.uint64)


def is_digest(key: str) -> bool:
    """Whether a key is a SHA-256 in hex."""
    return len(key) == HEX and not set(key) - _HEXADECIMAL
