"""Copies of objects for what can only read files: made once a process, and gone with it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock

from augforge.errors import RemoteError
from augforge.remote.objects import objects_of
from augforge.remote.path import RemotePath

PIECE = 32 << 20
SPARE = 256 << 20
"""Bytes that are left free on the disk of temporary files."""
_ONE_AT_A_TIME = Lock()


def copy_of(path: RemotePath) -> Path:
    """A file with the bytes of an object as it is now.

    Raises:
        FileNotFoundError: there is no such object.
        RemoteError: it cannot be read, or there is no room for it.
    """
    facts = path.stat()
    name = hashlib.sha256(f"{path} {facts.stamp}".encode()).hexdigest()[:32]
    with _ONE_AT_A_TIME:
        copy = Path(_folder().name, f"{name}{path.suffix}")
        if not copy.exists():
            _fetch(path, facts.st_size, copy)
    return copy


def _fetch(path: RemotePath, size: int, copy: Path) -> None:
    if shutil.disk_usage(copy.parent).free - size < SPARE:
        raise RemoteError(
            f"there is no room in {copy.parent} for {path}, {size:,} bytes",
            "set the environment variable TMPDIR to a folder with more room",
        )
    objects, unfinished = objects_of(str(path)), copy.with_suffix(".part")
    with unfinished.open("wb") as file:
        for start in range(0, size, PIECE):
            file.write(objects.read(str(path), start, min(start + PIECE, size)))
    unfinished.replace(copy)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="augforge-")
