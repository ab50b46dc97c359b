"""A path in an object store that offers what `pathlib.Path` offers for reading, and nothing that writes."""

from __future__ import annotations

import io
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import total_ordering
from pathlib import PurePosixPath
from typing import IO, Any

from augforge.remote.objects import Objects, Thing, objects_of
from augforge.remote.urls import checked


@dataclass(frozen=True, slots=True)
class Facts:
    """What `stat` tells of an object: its size in bytes, and no time of change, for which `stamp` stands."""

    st_mode: int
    st_size: int
    stamp: str
    st_mtime_ns: int = -1


@total_ordering
class RemotePath:
    """A path such as `s3://bucket/photos/cat`. There are no links in an object store: each path is its real one.

    It has no `__fspath__`, so that what can only read local files refuses it.
    """

    __slots__ = ("_inside", "_scheme")

    def __init__(self, url: str) -> None:
        self._scheme, _, inside = checked(url).partition("://")
        self._inside = PurePosixPath(f"/{inside}")

    def _at(self, inside: PurePosixPath) -> RemotePath:
        other = object.__new__(type(self))
        other._scheme, other._inside = self._scheme, inside
        return other

    @property
    def _objects(self) -> Objects:
        return objects_of(str(self))

    def _thing(self) -> Thing | None:
        return self._objects.find(str(self))

    def fresh(self) -> RemotePath:
        """The same path; what was remembered of it is asked for again."""
        self._objects.forget(str(self))
        return self

    def __str__(self) -> str:
        return f"{self._scheme}://{str(self._inside)[1:]}"

    as_posix = __str__

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other: RemotePath) -> bool:
        return str(self) < str(other)

    def __truediv__(self, other: str | PurePosixPath) -> RemotePath:
        return self._at(self._inside / other)

    @property
    def name(self) -> str:
        """The last part."""
        return self._inside.name

    @property
    def suffix(self) -> str:
        """The ending of the name, such as ".jpg"."""
        return self._inside.suffix

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return self._inside.stem

    @property
    def parts(self) -> tuple[str, ...]:
        """The scheme, the bucket and the folders."""
        return f"{self._scheme}://", *self._inside.parts[1:]

    @property
    def parent(self) -> RemotePath:
        """The folder above."""
        return self._at(self._inside.parent)

    def with_name(self, name: str) -> RemotePath:
        """The path of another name in the same folder."""
        return self._at(self._inside.with_name(name))

    def with_suffix(self, suffix: str) -> RemotePath:
        """The path with another ending."""
        return self._at(self._inside.with_suffix(suffix))

    def relative_to(self, other: RemotePath) -> PurePosixPath:
        """The path as it is seen from a folder above; ValueError if it does not lie below it."""
        if not self.is_relative_to(other):
            raise ValueError(f"{self} does not lie below {other}")
        return self._inside.relative_to(other._inside)

    def is_relative_to(self, other: object) -> bool:
        """Whether it lies below a folder, or is that."""
        if not isinstance(other, RemotePath) or self._scheme != other._scheme:
            return False
        return self._inside.is_relative_to(other._inside)

    def resolve(self) -> RemotePath:
        """The path without "." and ".."."""
        return self._at(PurePosixPath(posixpath.normpath(self._inside)))

    def exists(self) -> bool:
        """Whether there is an object or a folder; of a folder there is at least one object in it."""
        return self._thing() is not None

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        thing = self._thing()
        return thing is not None and thing.is_folder

    def is_file(self) -> bool:
        """Whether it is an object."""
        thing = self._thing()
        return thing is not None and not thing.is_folder

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def stat(self) -> Facts:
        """Size and stamp; FileNotFoundError if there is nothing."""
        thing = self._thing()
        if thing is None:
            raise FileNotFoundError(2, "no such object", str(self))
        return facts_of(thing)

    def iterdir(self) -> Iterator[RemotePath]:
        """What lies in the folder."""
        return (self / name for name in list(self._objects.folder(str(self))))

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        """All that lies below and has a name that fits the pattern."""
        for name, thing in list(self._objects.folder(str(self)).items()):
            path = self / name
            if path._inside.match(pattern):
                yield path
            if thing.is_folder:
                yield from path.rglob(pattern)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What lies in the folder and has a name that fits the pattern; nothing where there is no folder."""
        if self.is_dir():
            yield from (path for path in self.iterdir() if path._inside.match(pattern))

    def read_bytes(self) -> bytes:
        """All bytes of the object."""
        return self._objects.read(str(self))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """Its text."""
        with self.open("r", encoding=encoding, errors=errors) as file:
            return str(file.read())

    def open(
        self, mode: str = "r", *, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> IO[Any]:
        """The object as a file to read from, in any order; its pieces are fetched as they are needed."""
        if mode not in ("r", "rb"):
            raise ValueError(f"a RemotePath is only read, not opened with {mode!r}")
        file = io.BufferedReader(Ranged(self))
        return file if mode == "rb" else io.TextIOWrapper(file, encoding, errors, newline)


class Ranged(io.RawIOBase):
    """An object as a file; with `near`, small pieces are cut out of larger ones that are kept."""

    def __init__(self, path: RemotePath, near: bool = True) -> None:
        self._url, self._objects = str(path), objects_of(str(path))
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(21, "it is a folder", self._url)
        self._size, self._near, self._place = facts.st_size, near, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, counted from the beginning, from here or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(22, "before the beginning of the object", self._url)
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes."""
        end = min(self._place + len(buffer), self._size)
        if end <= self._place:
            return 0
        read = self._objects.part if self._near else self._objects.read
        found = read(self._url, self._place, end)
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


def facts_of(thing: Thing) -> Facts:
    """What `stat` tells of something."""
    if thing.is_folder:
        return Facts(stat.S_IFDIR | 0o755, 0, "")
    return Facts(stat.S_IFREG | 0o644, thing.size, thing.stamp)
