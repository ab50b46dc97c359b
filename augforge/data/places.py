"""The folder of a run that is named by a path or by a URL: to be written, or to be read."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from augforge.data.mirror import RECORD, Mirror, cached, mirror_of, url_of
from augforge.errors import StoreError
from augforge.remote.places import path_of
from augforge.remote.urls import is_remote

TRIES = 5
"""How often a result is fetched that changes meanwhile."""


def folder_to_write(place: str | os.PathLike[str]) -> Path:
    """The folder for a run into `place`: of a URL its mirror, of which nothing is fetched yet.

    Raises:
        RemoteError: no run can be written to this URL.
    """
    return mirror_of(str(place)) if is_remote(str(place)) else _on_disk(place)


def folder_to_read(place: str | os.PathLike[str]) -> Path:
    """The folder of the run in `place`: of a URL its mirror, brought to the state of the bucket.

    Raises:
        RemoteError: it cannot be fetched.
        StoreError: no run lies at the URL.
    """
    return fetched(str(place)) if is_remote(str(place)) else _on_disk(place)


def brought_up(folder: Path) -> Path:
    """The folder of a run; that of a mirror, brought to the state of the bucket. Errors as `folder_to_read`.

    A copy of a mirror is a plain folder: whoever made it may have written any URL into it.
    """
    url = url_of(folder)
    is_mirror = url is not None and cached("runs", url).resolve() == folder.resolve()
    return fetched(url) if url is not None and is_mirror else folder


def on_disk(place: str | os.PathLike[str]) -> Path:
    """A path of this machine.

    Raises:
        StoreError: it is a URL, which is written by runs alone.
    """
    if is_remote(str(place)):
        raise StoreError(
            f"{place} is a URL: only a run is written to one", "give a path, and copy what is written there"
        )
    return _on_disk(place)


def _on_disk(place: str | os.PathLike[str]) -> Path:
    return path_of(str(place)) if str(place).startswith("file://") else Path(place)


def fetched(url: str) -> Path:
    """The mirror of a run, as the bucket is now; where a process of this machine writes it, as the folder is.

    Raises:
        RemoteError: it cannot be fetched.
        StoreError: nothing lies there.
    """

    folder = mirror_of(url)
    mirror = Mirror(folder, str(url_of(folder)))
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return folder
        _fetch_whole(mirror)
    if not any((folder / name).exists() for name in (RECORD, "parts", "samples.parquet")):
        raise StoreError(f"there is no run at {url}", "check the URL: it is that of --out")
    return folder


def _fetch_whole(mirror: Mirror) -> None:
    """Fetch a result in one state; a process that writes it takes run.json away first, and puts a new one last."""
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            if mirror.fetch() == mirror.stamp():
                return
    raise StoreError(f"{mirror.url} changes while it is read", "wait for the run that writes there")
