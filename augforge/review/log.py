"""A review file, `review.jsonl`: lines are appended to it, and none is ever changed."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from augforge.data.files import digest_of, named, sync_folder
from augforge.errors import AugforgeError, StoreError
from augforge.review.lines import Line, line_of

NAME = "review.jsonl"
MEND = "correct the line or delete it, or give another file if it is none of decisions"
PATIENCE = 10.0
"""Seconds that a writer waits for others."""
_MERGE = "<<<<<<<", "=======", ">>>>>>>"
_BEGUN = b"{", b"\0"
"""How a line begins that was not written to its end: some disks leave zeros where nothing came."""
_looked_at: dict[tuple[int, int], tuple[int, int]] = {}
"""Files that were appended to, as they were then: all their lines are known to be some."""


def append(path: Path, lines: Sequence[Line]) -> None:
    """Write lines at the end of a review file, whole and durable, however many others write to it at the same time.

    A file that is not there is begun.

    Raises:
        StoreError: it cannot be written, a line of what is there is torn or is none, or others did not let go of it.
    """
    text = "".join(f"{line.json()}\n" for line in lines).encode()
    is_new = not path.exists()
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file, _held(file.fileno(), path):
            _write(file.fileno(), _end_of_last(file, path) + text)
            inode, state = _state(file)
            _looked_at[inode] = state
        if is_new:
            sync_folder(path.parent)


def read_review(path: Path) -> list[Line]:
    """The lines of a review file, in its order; [] where there is none. Nobody writes to it meanwhile.

    Raises:
        StoreError: a line is torn or is none, with its number, or a writer did not let go of it.
    """
    try:
        with path.open("rb") as file, _held(file.fileno(), path, fcntl.LOCK_SH):
            content = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror or error}", "give the path of a review file"
        ) from error
    return list(_parsed(path, content))


def review_digest(path: Path) -> str:
    """The SHA-256 of a review file; "" where there is none."""
    return digest_of(path) if path.is_file() else ""


def _parsed(path: Path, content: bytes) -> Iterator[Line]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        if line.decode(errors="replace").startswith(_MERGE):
            raise StoreError(
                f"{path}, line {number}: git left two versions here", "keep the lines of both, and delete its marks"
            )
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == content.count(b"\n") + 1 and line.startswith(_BEGUN):
                raise _torn(path, number) from error
            raise StoreError(f"{path}, line {number}: it is no JSON", MEND) from error
        try:
            yield line_of(plain)
        except AugforgeError as error:
            raise StoreError(f"{path}, line {number}: {error.message}", error.hint or MEND) from error


def _torn(path: Path, number: int) -> StoreError:
    hint = "who wrote it was interrupted: delete that line, and decide again about its image"
    return StoreError(f"{path}, line {number}: the last line is torn", hint)


@contextmanager
def _held(handle: int, path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of an open file; StoreError if others have it for longer than `PATIENCE`."""
    end = monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if monotonic() > end:
                raise StoreError(f"{path} is in use by another process", "try again once it has ended") from None
            sleep(0.01)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _end_of_last(file: IO[bytes], path: Path) -> bytes:
    """What new lines begin with: the end of the last line where it lacks that, else nothing.

    All lines that are there are looked at, but those of a file that is as it was left here.
    """
    inode, state = _state(file)
    if _looked_at.get(inode) == state:
        return b""
    file.seek(0)
    content = file.read()
    for _ in _parsed(path, content):  # raises where one is none
        pass
    return b"\n" if content and not content.endswith(b"\n") else b""


def _state(file: IO[bytes]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Which file it is, and its size and time of change."""
    stat = os.fstat(file.fileno())
    return (stat.st_dev, stat.st_ino), (stat.st_size, stat.st_mtime_ns)


def _write(handle: int, content: bytes) -> None:
    """Append bytes and flush them to the disk; where that fails, such as on a full disk, none of them is left."""
    size = os.fstat(handle).st_size
    try:
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise
