"""Embeddings in a folder that runs may share: `STORE/vectors/KEY/DIGEST.arrow`, rows found by the image's digest.

KEY stands for the model's weights, how images are decoded and resized for it, and the precision. A part has `digest`,
64 hex digits, and `vector` (d,) float16 or float32; it is named by the SHA-256 of its bytes and written whole or not at
all. So several processes may write at once without a lock: what two of them write is either the same file or another
one, and a row that is there twice is there twice. A reader sees the parts that were there at its last `reload`, which
an embedder does whenever it is asked for images; it opens only those that are new to it.

Many small parts are merged into larger ones: the merged part is on the disk before the small ones go, and a reader
that has a part open keeps it. The bytes of a part are hashed once; who has done so notes name, size and time of
change in `.verified`, and only a part that is not noted there is hashed again. Damage that leaves size and time as
they were is found by `verify`.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.files import digest_of
from augforge.data.key_index import Keys, row_type
from augforge.data.mirror import Commit, commit, discard
from augforge.data.parts import Parts, Target, groups
from augforge.data.texts import TextView
from augforge.data.vector_parts import (
    HEX,
    Precision,
    digests_of,
    is_digest,
    mapped,
    matrix_of,
    note_of,
    prefixes_of,
    vector_type,
)
from augforge.data.vector_rows import VectorRows
from augforge.errors import StoreError

VARIABLE = "AUGFORGE_STORE"
VERIFIED = ".verified"
SMALL_ROWS = 65_536
SMALL_PARTS = 64
"""Once more than so many parts have under SMALL_ROWS rows, they are merged into parts of about that many."""


def shared_store(given: Path | None = None) -> Path | None:
    """The folder of the vectors that runs share: the one given, else what AUGFORGE_STORE names, else None."""
    named = os.environ.get(VARIABLE, "")
    return given if given is not None else Path(named).expanduser() if named else None


class Vectors(Parts):
    """The vectors of one model, by the digest of the image. The index is in memory, the vectors are mapped."""

    def __init__(
        self, folder: Path, precision: Precision = "float32", say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.precision = precision
        self._paths: list[Path] = []
        self._prefixes: list[NDArray[np.uint64]] = []
        self._index = np.zeros(0, dtype=np.uint64)
        self._order: NDArray[np.integer] = np.zeros(0, dtype=np.int64)
        schema = pa.schema([("digest", pa.string()), ("vector", pa.list_(vector_type(precision)))])
        super().__init__(folder, schema, "digest", say)

    def reload(self) -> None:
        """Open the parts that have come since the last time."""
        new = sorted(set(self.folder.glob("*.arrow")) - set(self._paths))
        if not new:
            return
        known = self._verified()
        for path in new:
            with suppress(FileNotFoundError):  # merged into another by someone else, between listing and opening
                self._add(path, known)
        self._sort()

    def _add(self, path: Path, known: set[str]) -> None:
        note, content = note_of(path), mapped(path)
        if note not in known:
            if not self._sound(path):
                return
            _remember(self.folder, note)
        try:
            table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
            prefixes = prefixes_of(digests_of(table))
        except (pa.ArrowException, OSError, ValueError):
            if self._sound(path):
                raise
            return
        self._paths.append(path)
        self._tables.append(table)
        self._prefixes.append(prefixes)
        if isinstance(content, mmap.mmap):
            content.madvise(mmap.MADV_DONTNEED)  # what was read for the index need not stay in memory

    def _sound(self, path: Path) -> bool:
        """Whether the bytes can be read and match the name; if not, the part is set aside."""
        try:
            if digest_of(path)[:32] == path.stem:
                return True
        except FileNotFoundError:
            raise
        except OSError as error:
            self._set_aside(path, f"cannot be read ({error.strerror or error})")
        else:
            self._set_aside(path, "is damaged")
        return False

    def _sort(self) -> None:
        joined = np.concatenate([*self._prefixes, np.zeros(0, dtype=np.uint64)])
        order = np.argsort(joined, kind="stable")
        self._index = joined[order]
        sizes = [len(prefixes) for prefixes in self._prefixes]
        self._starts = np.cumsum([0, *sizes])
        self._order = order.astype(row_type(len(order)))

    def _verified(self) -> set[str]:
        with suppress(FileNotFoundError):
            return set((self.folder / VERIFIED).read_text(encoding="utf-8").splitlines())
        return set()

    def verify(self) -> int:
        """Hash every part again, set aside the damaged ones, and say how many those are."""
        return sum(not self._sound(path) for path in sorted(self.folder.glob("*.arrow")))

    def __len__(self) -> int:
        return len(self._index)

    def keys(self) -> set[str]:
        """The digests of all rows."""
        return {digest.decode() for table in self._tables for digest in digests_of(table).tolist()}

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """(n,) in which row of all parts each digest lies, -1 where it is missing; what is no SHA-256 is missing."""
        keys = TextView(keys) if isinstance(keys, np.ndarray) else keys
        rows = np.full(len(keys), -1, dtype=np.int64)
        usable = np.array([n for n, key in enumerate(keys) if is_digest(key)], dtype=np.int64)
        if not len(self._index) or not len(usable):
            return rows
        wanted = np.array([keys[n] for n in usable], dtype=f"S{HEX}")
        prefixes = prefixes_of(wanted)
        at = np.searchsorted(self._index, prefixes)
        open_ = np.arange(len(usable))
        while len(open_):
            inside = at[open_] < len(self._index)
            open_ = open_[inside]
            open_ = open_[self._index[at[open_]] == prefixes[open_]]
            found = self._order[at[open_]]
            same = self._at(found) == wanted[open_]
            rows[usable[open_[same]]] = found[same]
            open_ = open_[~same]
            at[open_] += 1
        return rows

    def _at(self, rows: NDArray[np.integer]) -> NDArray[np.bytes_]:
        """(n,) the digests in `rows` of all parts."""
        found = np.zeros(len(rows), dtype=f"S{HEX}")
        for number, chosen, inside in self._by_part(rows):
            found[chosen] = digests_of(self._tables[number])[inside]
        return found

    def matrix(self, keys: Sequence[str], column: str = "vector") -> NDArray[np.float32]:
        """(n, d) the vectors of `keys`, in order, every key being there; only they are copied."""
        if not len(keys):
            return np.zeros((0, 0), dtype=np.float32)
        rows = self.find(keys)
        if (rows < 0).any():
            raise KeyError(keys[int(np.argmax(rows < 0))])
        (first,) = np.searchsorted(self._starts, rows[:1], "right") - 1
        found = np.empty((len(keys), matrix_of(self._tables[first]).shape[1]), dtype=np.float32)
        for number, chosen, inside in self._by_part(rows):
            found[chosen] = matrix_of(self._tables[number])[inside]
        return found

    @property
    def width(self) -> int:
        """Of how many numbers each vector is; 0 where there is none."""
        return int(matrix_of(self._tables[0]).shape[1]) if self._tables else 0

    def by_rows(self) -> VectorRows:
        """All rows, in the numbers that `find` answers, as a matrix of which any few are read; as of this moment."""
        return VectorRows(tuple(self._paths))

    @property
    def target(self) -> Target:
        """As `Parts.target`."""
        return VectorsTarget(self.folder.absolute(), self.precision)

    def merge(self) -> None:
        """Put small parts together once there are many; a row that is there twice stays once."""
        small = [number for number, table in enumerate(self._tables) if table.num_rows < SMALL_ROWS]
        if len(small) <= SMALL_PARTS:
            return
        gone: set[int] = set()
        for group in groups(small, [self._tables[number].num_rows for number in small], SMALL_ROWS):
            written = self._write_together(group)
            gone.update(number for number in group if self._paths[number] != written)  # it may hold all the others
        self._forget(gone)
        self.reload()

    def _write_together(self, numbers: Sequence[int]) -> Path:
        """Write the rows of several parts as one part, each digest once."""
        digests = np.concatenate([digests_of(self._tables[number]) for number in numbers])
        _, first = np.unique(digests, return_index=True)
        vectors = np.concatenate([matrix_of(self._tables[number]) for number in numbers])
        return write_vectors(self.folder, self.precision, [d.decode() for d in digests[first].tolist()], vectors[first])

    def _forget(self, gone: set[int]) -> None:
        """Remove the parts of these numbers: what they held is in others."""
        for number in gone:
            discard(self._paths[number])
        stay = [number for number in range(len(self._tables)) if number not in gone]
        self._paths = [self._paths[number] for number in stay]
        self._tables = [self._tables[number] for number in stay]
        self._prefixes = [self._prefixes[number] for number in stay]
        self._sort()


@dataclass(frozen=True, slots=True)
class VectorsTarget:
    """The target of `Vectors`."""

    folder: Path
    precision: Precision
    commit: Commit = commit

    def write(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Write rows, each a `digest` and a `vector` (d,), as one part."""
        digests, vectors = [row["digest"] for row in rows], np.stack([row["vector"] for row in rows])
        return write_vectors(self.folder, self.precision, digests, vectors, self.commit)

    def by(self, commit: Commit) -> VectorsTarget:
        """As `Target.by`."""
        return replace(self, commit=commit)


def write_vectors(
    folder: Path, precision: Precision, digests: Sequence[str], vectors: NDArray[Any], commit: Commit = commit
) -> Path:
    """Write (n, d) vectors as one part: durable when this returns, unless another process has merged it into another.

    Raises:
        ValueError: one of the (n,) digests is none.
    """
    if wrong := [digest for digest in digests if not is_digest(digest)]:
        raise ValueError(f"{wrong[0]!r} is no SHA-256 in hex")
    flat = pa.array(np.ascontiguousarray(vectors, dtype=precision).reshape(-1))
    columns = [pa.array(digests, pa.string()), pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])]
    sink = pa.BufferOutputStream()
    batch = pa.record_batch(columns, names=["digest", "vector"])
    with pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)
    content = sink.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}.arrow"
    commit(path, content)
    with suppress(FileNotFoundError):  # merged into another already, or only in the bucket
        _remember(folder, note_of(path))
    return path


def _remember(folder: Path, note: str) -> None:
    """Note that a part is sound. In a folder that may only be read nothing is noted, and it is hashed each time."""
    try:
        handle = os.open(folder / VERIFIED, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            return
        raise
    try:
        with suppress(OSError):  # a part that is not noted is only hashed again
            os.write(handle, f"{note}\n".encode())
    finally:
        os.close(handle)


def vectors_folder(run: Path, key: str, precision: Precision = "float32", shared: Path | None = None) -> Path:
    """Where the vectors of a model lie: in the shared store if there is one, else in the run's folder.

    Raises:
        StoreError: the shared store is a file.
    """
    root = shared_store(shared) or run
    if root.is_file():
        raise StoreError(f"{root} is a file", "choose a folder for --store")
    return root / "vectors" / (key if precision == "float32" else f"{key}-{precision}")
