"""Disks that fill up, that may only be read, and writes that fail at a chosen place."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoMount(Exception):
    """This process may not mount file systems: it is not root, or lives in a container without that right."""


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of that size at `place`; NoMount where none can be made."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def change_disk(place: Path, options: str) -> None:
    """Give a mounted file system other options, such as `ro` or another size."""
    _mount("-o", f"remount,{options}", str(place))


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoMount("there is no mount here") from error
    if done.returncode:
        raise NoMount(done.stderr.strip())


class Failing:
    """Lets all durable writes below `folder` after the first `number` fail with `code`, until it is mended."""

    def __init__(self, folder: Path, number: int, code: int = errno.ENOSPC) -> None:
        self.folder, self.left, self.code = str(folder), number, code
        self._fsync = os.fsync

    def __enter__(self) -> Failing:
        os.fsync = self._failing
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync = self._fsync

    def _failing(self, handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").resolve().is_relative_to(self.folder):
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))
        self._fsync(handle)
