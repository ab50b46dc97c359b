"""Parts: Arrow files in a folder, committed whole or not at all, and named by their content."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.files import digest_of
from augforge.data.key_index import PIECE, KeyIndex, Keys
from augforge.data.mirror import Commit, commit, discard
from augforge.data.vector_parts import note_of

FLUSH_ROWS = 1024
FLUSH_BYTES = 32 << 20
FLUSH_SECONDS = 5.0
SMALL_BYTES = 4 << 20
SMALL_PARTS = 64
"""Once more than so many parts have under SMALL_BYTES, they are merged into parts of about FLUSH_BYTES."""
CHUNK = 4096


class Parts:
    """Arrow files in a folder, each written whole or not at all; the name of each is the digest of its bytes.

    A file whose bytes do not match its name is set aside, reported, and computed again.
    """

    merges = True
    """Whether small parts are merged when rows were written; not while other processes write some, too."""

    def __init__(
        self, folder: Path, schema: pa.Schema, by: str, say: Callable[[str], None], checked: bool = True
    ) -> None:
        """`checked`: whether every byte is hashed before it is used; else another process has just done so."""
        self.folder, self.schema, self.by, self._say, self._checked = folder, schema, by, say, checked
        self._paths: list[Path] = []
        self._tables: list[pa.Table] = []
        self._opened: dict[Path, tuple[str, pa.Table]] = {}
        self._key_index = KeyIndex([])
        self._starts = np.zeros(1, dtype=np.int64)
        self.reload()

    def reload(self) -> None:
        """Read the folder again: only parts whose name, size or time of change is new are hashed and opened."""
        found = {path: self._noted(path) for path in sorted(self.folder.glob("*.arrow"))}
        before, self._opened = self._opened, {path: each for path, each in found.items() if each is not None}
        if self._opened.keys() == before.keys() and all(self._opened[path] is before[path] for path in before):
            return
        self._paths, self._tables = list(self._opened), [table for _, table in self._opened.values()]
        self._sort()

    def _noted(self, path: Path) -> tuple[str, pa.Table] | None:
        """The note of a part and its rows: those in use if its note is theirs, else as `_open` reads them."""
        note = ""
        with suppress(OSError):  # what is wrong with it is said when it is opened
            note = note_of(path)
        if note and self._opened.get(path, ("",))[0] == note:
            return self._opened[path]
        table = self._open(path)
        return None if table is None else (note, table)

    def _sort(self) -> None:
        """Index the rows of all parts by their keys."""
        self._key_index = KeyIndex([table.column(self.by) for table in self._tables])
        self._starts = np.cumsum([0, *(table.num_rows for table in self._tables)])

    def _open(self, path: Path) -> pa.Table | None:
        """The rows of a part, every byte of which is hashed; None if it cannot be used, and is set aside."""
        why = ""
        try:
            if self._checked and digest_of(path)[:32] != path.stem:
                why = "is damaged"
        except OSError as error:
            why = f"cannot be read ({error.strerror or error})"
        if not why:
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_file(pa.py_buffer(file.read_buffer())).read_all()
            if set(self.schema.names) <= set(table.schema.names):
                return table
            why = "is of another format"
        self._set_aside(path, why)
        return None

    def _set_aside(self, path: Path, why: str) -> None:
        """Take a part out of use and say so; where nothing may be renamed, it is passed over each time."""
        aside = path.with_suffix(".damaged")
        with suppress(OSError):
            path.rename(aside)
        self._say(f"{aside} {why}; what it held is made again")

    def __len__(self) -> int:
        return len(self._key_index)

    def keys(self) -> set[str]:
        """The keys of all rows."""
        return self._key_index.keys()

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """(n,) in which row of all parts, one after the other, each key lies, -1 where it is missing."""
        return self._key_index.find(keys)

    def missing(self, keys: Sequence[str]) -> list[str]:
        """The distinct keys that have no row yet, in order."""
        places = self.find(keys)
        return list(dict.fromkeys(key for key, place in zip(keys, places, strict=True) if place < 0))

    def row(self, key: str) -> dict[str, Any]:
        """The row of a key; KeyError if it is missing."""
        (place,) = self.find([key])
        if place < 0:
            raise KeyError(key)
        number = np.searchsorted(self._starts, place, "right") - 1
        row: dict[str, Any] = self._tables[number].slice(place - self._starts[number], 1).to_pylist()[0]
        return row

    def rows(self, keys: Sequence[str], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of `keys`, one after the other, every key being there."""
        for start in range(0, len(keys), CHUNK):
            yield from self.take(keys[start : start + CHUNK], columns).to_pylist()

    def take(self, keys: Keys, columns: Sequence[str]) -> pa.Table:
        """The rows of `keys`, in order, every key being there."""
        rows, found = self.find(keys), [self._tables[0].select(list(columns)).slice(0, 0)]
        order: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        for number, chosen, inside in self._by_part(rows):
            found.append(self._tables[number].select(list(columns)).take(pa.array(inside)))
            order.append(chosen)
        table, places = pa.concat_tables(found).unify_dictionaries(), np.concatenate(order)
        return table if (np.diff(places) > 0).all() else table.take(pa.array(np.argsort(places)))

    def numbers(self, keys: Keys, column: str) -> NDArray[Any]:
        """(n,) a column of numbers of the rows of `keys` (n,), every key being there."""
        parts = (keys[start : start + PIECE] for start in range(0, len(keys), PIECE))
        found = [self.take(part, [column]).column(column).to_numpy() for part in parts]
        return np.concatenate(found) if found else np.zeros(0)

    def _by_part(self, rows: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """For each part: its number, which of `rows` (of all parts) lie in it, and in which of its own rows."""
        parts = np.searchsorted(self._starts, rows, "right") - 1
        inside = rows - self._starts[parts]
        order = np.argsort(parts, kind="stable")
        for chosen in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1) if len(order) else []:
            yield int(parts[chosen[0]]), chosen, inside[chosen]

    def matrix(self, keys: Sequence[str], column: str) -> NDArray[np.float32]:
        """(n, d) the vectors of `keys`, in order, every key being there."""
        if not len(keys):
            return np.zeros((0, 0), dtype=np.float32)
        column_values = self.take(keys, [column]).column(column).combine_chunks()
        flat = np.asarray(column_values.flatten(), dtype=np.float32)
        return flat.reshape(len(keys), -1)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Collect rows and commit them now and then, and at the end; also when leaving by an exception.

        Small parts are merged afterwards.
        """
        writer = Writer(self)
        try:
            yield writer
        finally:
            writer.flush()
            self.reload()
        if self.merges:
            self.merge()

    def merge(self) -> None:
        """Put small parts together once there are many: into new ones, before the old ones go.

        For the process that holds the folder, when no other is writing parts of this name.
        """
        sizes = [path.stat().st_size for path in self._paths]
        small = [place for place, size in enumerate(sizes) if size < SMALL_BYTES]
        if len(small) <= SMALL_PARTS:
            return
        for group in groups(small, [sizes[place] for place in small], FLUSH_BYTES):
            written = self._write_together(group)
            for path in (self._paths[place] for place in group):
                if path != written:
                    discard(path)
        self.reload()

    def _write_together(self, numbers: Sequence[int]) -> Path:
        """Write the rows of several parts as one part."""
        joined = pa.concat_tables([self._tables[number] for number in numbers]).unify_dictionaries()
        return _write_part(self.folder, joined.select(self.schema.names).combine_chunks())

    @property
    def target(self) -> Target:
        """Where the parts go, for another process."""
        return PartsTarget(self.folder.absolute(), self.schema)

    def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as one part: to a temporary file, synced, then renamed."""
        self.target.write(rows)

    def _commit(self, table: pa.Table) -> None:
        _write_part(self.folder, table)

    def failed(self) -> list[str]:
        """The keys of the rows that say what their `problem` is."""
        return [
            key
            for table in self._tables
            for key, problem in zip(*(table.column(name).to_pylist() for name in (self.by, "problem")), strict=True)
            if problem
        ]

    def forget(self, keys: Collection[str]) -> int:
        """Remove the rows of `keys`; how many there were. The others are in a new part before the old one goes."""
        gone, count = set(keys), 0
        for path, table in zip(self._paths, self._tables, strict=True):
            stays = [key not in gone for key in table.column(self.by).to_pylist()]
            if all(stays):
                continue
            if any(stays):
                self._commit(table.filter(pa.array(stays)).unify_dictionaries().combine_chunks())
            discard(path)
            count += len(stays) - sum(stays)
        if count:
            self.reload()
        return count


def groups(numbers: Sequence[int], sizes: Sequence[int], enough: int) -> Iterator[list[int]]:
    """Parts that go together: each group has just `enough`, or a little more, of `sizes`; the last one perhaps less."""
    group: list[int] = []
    count = 0
    for number, size in zip(numbers, sizes, strict=True):
        group.append(number)
        count += size
        if count >= enough:
            yield group
            group, count = [], 0
    if len(group) > 1:
        yield group


class Target(Protocol):
    """Where parts are written by a process that does not need to know those that are there; can be pickled."""

    @property
    def folder(self) -> Path:
        """The folder that they lie in."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Write rows as one part, named by its content: the same rows again are the same file."""

    def by(self, commit: Commit) -> Target:
        """The same, with another way to write a file."""


@dataclass(frozen=True, slots=True)
class PartsTarget:
    """The target of `Parts`."""

    folder: Path
    schema: pa.Schema
    commit: Commit = commit

    def write(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """As `Target.write`."""
        return _write_part(self.folder, pa.Table.from_pylist(list(rows), schema=self.schema), self.commit)

    def by(self, commit: Commit) -> PartsTarget:
        """As `Target.by`."""
        return replace(self, commit=commit)


def _write_part(folder: Path, table: pa.Table, commit: Commit = commit) -> Path:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    content = sink.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}.arrow"
    commit(path, content)
    return path


class Writer:
    """Buffers rows of one `Parts`; commits by number, size or time, whichever comes first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, rows: Sequence[Mapping[str, Any]], size: int = 0) -> None:
        """Take rows that belong together (a batch): they are committed together."""
        self._rows.extend(rows)
        self._bytes += size
        late = time.monotonic() - self._since > FLUSH_SECONDS
        if late or len(self._rows) >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Commit what is buffered."""
        if self._rows:
            self._parts.commit(self._rows)
        self._rows, self._bytes, self._since = [], 0, time.monotonic()
