"""What readers ask of files and folders, be they on the disk or in an object store; a path is a text or a Path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from augforge.remote.urls import is_remote, is_url, local_path, scheme_of

if TYPE_CHECKING:
    from augforge.remote.objects import Thing
    from augforge.remote.path import Facts, RemotePath

Place = str | Path


class Found(Protocol):
    """What `scandir` finds: an `os.DirEntry`, or a `RemoteEntry`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def path(self) -> str:
        """Its whole path."""

    def is_dir(self) -> bool:
        """Whether it is a folder, or a link to one."""

    def is_file(self) -> bool:
        """Whether it is a file, or a link to one."""

    def is_symlink(self) -> bool:
        """Whether it is a link."""

    def stat(self) -> Any:
        """What `os.stat` tells."""


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """An object or a folder of a folder in an object store, as `os.DirEntry` has it."""

    path: str
    thing: Thing

    @property
    def name(self) -> str:
        """Its name."""
        return self.thing.name

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self.thing.is_folder

    def is_file(self) -> bool:
        """Whether it is an object."""
        return not self.thing.is_folder

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def stat(self) -> Facts:
        """Its size and stamp."""
        from augforge.remote.path import facts_of

        return facts_of(self.thing)


def path_of(value: Place) -> Path:
    """The path that a text names: a `Path`, or a `RemotePath`, which offers the same for reading.

    Raises:
        RemoteError: it is a URL of a kind that is not read, or needs a package that is not there.
    """
    text = str(value)
    if not is_url(text):
        return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    if scheme_of(text) == "file":
        return Path(local_path(text))
    return cast("Path", _remote(text))


def opened_anew(value: Place) -> Path:
    """As `path_of`; what was remembered of what lies there is forgotten."""
    path = path_of(value)
    return cast("Path", cast("RemotePath", path).fresh()) if is_url(str(path)) else path


def forget_remote(value: str) -> None:
    """Forget what was remembered of what lies at a URL, so that whoever opens it next sees the present."""
    if is_remote(value):
        opened_anew(value)


def _remote(url: str) -> RemotePath:
    from augforge.remote.path import RemotePath

    return RemotePath(url)


def scandir(folder: Place) -> AbstractContextManager[Iterator[Found]]:
    """`os.scandir` of a folder."""
    url = str(folder)
    if not is_url(url):
        return os.scandir(folder)
    from augforge.remote.objects import objects_of

    url = url.rstrip("/")
    return nullcontext(RemoteEntry(f"{url}/{name}", thing) for name, thing in objects_of(url).folder(url).items())


def walk(root: Place, followlinks: bool = False) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` from the top: the names of folders may be taken away on the way."""
    if not is_url(str(root)):
        yield from os.walk(root, followlinks=followlinks)
        return
    try:
        with scandir(root) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    folders = [entry.name for entry in found if entry.is_dir()]
    yield str(root), folders, [entry.name for entry in found if not entry.is_dir()]
    for name in folders:
        yield from walk(f"{root}/{name}")


def real_path(path: Place) -> str:
    """`os.path.realpath`; what lies in an object store has no other path."""
    return str(_remote(str(path)).resolve()) if is_url(str(path)) else os.path.realpath(path)


def absolute_path(path: str) -> str:
    """A path from the root, with links as they are; of a URL, the one form of it."""
    return str(path_of(path)) if is_url(path) else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111


def common_folder(folders: Sequence[Path]) -> Path:
    """The innermost folder that holds all of some folders, or is one of them."""
    first, *others = folders
    above = [first]
    while above[-1].parent != above[-1]:
        above.append(above[-1].parent)
    return next((one for one in above if all(other.is_relative_to(one) for other in others)), above[-1])


def open_file(path: Place) -> IO[bytes]:
    """A file to read from."""
    return _remote(str(path)).open("rb") if is_url(str(path)) else open(path, "rb")  # noqa: PTH123  # a Path a file is slow


def read_bytes(path: Place) -> bytes:
    """All bytes of a file."""
    if is_url(str(path)):
        return _remote(str(path)).read_bytes()
    with open(path, "rb") as file:  # noqa: PTH123  # a Path a file is slow
        return file.read()


def stat_of(path: Place) -> Any:
    """`os.stat`."""
    return _remote(str(path)).stat() if is_url(str(path)) else os.stat(path)  # noqa: PTH116  # likewise


def is_link(path: Place) -> bool:
    """`os.path.islink`."""
    return not is_url(str(path)) and os.path.islink(path)  # noqa: PTH114  # likewise


def is_there(path: Place) -> bool:
    """`os.path.exists`."""
    return _remote(str(path)).exists() if is_url(str(path)) else os.path.exists(path)  # noqa: PTH110  # never raises


def is_file(path: Place) -> bool:
    """`os.path.isfile`."""
    return _remote(str(path)).is_file() if is_url(str(path)) else os.path.isfile(path)  # noqa: PTH113  # likewise


def is_folder(path: Place) -> bool:
    """`os.path.isdir`."""
    return _remote(str(path)).is_dir() if is_url(str(path)) else os.path.isdir(path)  # noqa: PTH112  # likewise


def stamp_of(facts: Any) -> str:
    """What changes whenever a file was written: its size and time of change, or size, version and ETag of an object."""
    return getattr(facts, "stamp", "") or f"{facts.st_size}-{facts.st_mtime_ns}"


def file_to_read(path: Path) -> Any:
    """What pyarrow reads a file from: its path, or an object of which just the pieces are fetched that are needed."""
    if not is_url(str(path)):
        return path
    from augforge.remote.path import Ranged

    return Ranged(cast("RemotePath", path), near=False)


def local_copy(path: Path) -> Path:
    """A file on the disk with the bytes of a file: itself, or a copy for as long as this process runs."""
    if not is_url(str(path)):
        return path
    from augforge.remote.copies import copy_of

    return copy_of(cast("RemotePath", path))
