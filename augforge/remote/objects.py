"""One object store: what lies in its folders, and the bytes of its objects, whole or in part.

A folder is listed once and remembered, until somebody opens it anew (`forget`): a source sees one state of it, and to
ask for the size of a listed object costs no request. Small pieces are cut out of blocks, which are kept for a while.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from augforge.errors import RemoteError
from augforge.remote.faults import steadily
from augforge.remote.urls import scheme_of

BLOCK = 4 << 20
"""Bytes of a block."""
MOST_BLOCKS = 32
ALONE = 4
"""Objects of a folder that are asked for one by one before it is listed, unless the folder above it has been."""
VERSIONS = ("VersionId", "version_id", "generation", "ETag", "etag", "e_tag", "blob_id", "md5Hash", "content_md5")
"""What stores call that which changes whenever an object is written."""
TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")

TALKATIVE = ("adlfs", "azure", "gcsfs", "google")
"""Libraries that write warnings and tracebacks on the terminal unless their loggers have a handler."""


class Thing(NamedTuple):
    """An object or a folder, with the object's size in bytes and what changes whenever it is written."""

    name: str
    is_folder: bool
    size: int = 0
    stamp: str = ""


class Objects:
    """The object stores of one scheme. May be used from several threads."""

    def __init__(self, scheme: str) -> None:
        self.fs = _file_system(scheme)
        """The file system of fsspec."""
        self._folders: dict[str, dict[str, Thing]] = {}
        self._alone: dict[str, Thing | None] = {}
        self._asked: Counter[str] = Counter()
        self._blocks: OrderedDict[tuple[str, str, int], Future[bytes]] = OrderedDict()
        self._lock = Lock()

    def forget(self, url: str) -> None:
        """Ask the store again for what lies at a URL and below it."""
        for known in (self._folders, self._alone, self._asked):
            for place in [place for place in list(known) if place == url or place.startswith(f"{url}/")]:
                known.pop(place, None)
        self._folders.pop(_above(url), None)

    def folder(self, url: str) -> Mapping[str, Thing]:
        """What lies in a folder, by name; FileNotFoundError if there is none, NotADirectoryError of an object."""
        if url not in self._folders:
            found = steadily(f"{url} cannot be listed", lambda: self.fs.ls(url, detail=True))
            things = [_thing(each) for each in found if _name(each) and not _is(each, url)]
            if not things and any(_is(each, url) and each["type"] == "file" and each["size"] for each in found):
                raise NotADirectoryError(20, "it is an object, not a folder", url)
            self._folders[url] = _by_name(things, url)
        return self._folders[url]

    def find(self, url: str) -> Thing | None:
        """The object or folder at a URL, None if there is neither."""
        above, _, name = url.rpartition("/")
        if url in self._folders:
            return Thing(name, True)
        if above in self._folders:
            return self._folders[above].get(name)
        if url in self._alone:
            return self._alone[url]
        self._asked[above] += 1
        often = self._asked[above] > ALONE or _above(above) in self._folders
        if often and not above.endswith("/"):
            try:
                return self.folder(above).get(name)
            except (FileNotFoundError, NotADirectoryError):
                return None
        self._alone[url] = self._look(url)
        return self._alone[url]

    def _look(self, url: str) -> Thing | None:
        try:
            return _thing(steadily(f"{url} cannot be read", lambda: self.fs.info(url)))
        except FileNotFoundError:
            return None

    def read(self, url: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or those from `start` to before `end`; FileNotFoundError if there is none."""
        above, _, name = url.rpartition("/")
        if name not in self._folders.get(above, {name: None}):
            raise FileNotFoundError(2, "no such object", url)
        if start is not None and start == end:
            return b""
        return bytes(steadily(f"{url} cannot be read", lambda: self.fs.cat_file(url, start=start, end=end)))

    def part(self, url: str, start: int, end: int) -> bytes:
        """As `read`, of a piece that has neighbours which are soon read, too."""
        thing = self.find(url)
        if thing is None or thing.is_folder:
            raise FileNotFoundError(2, "no such object", url)
        end = min(end, thing.size)
        if start >= end:
            return b""
        if end - start >= BLOCK:
            return self.read(url, start, end)
        first, last = start // BLOCK, (end - 1) // BLOCK
        joined = b"".join(self._block(url, thing, number) for number in range(first, last + 1))
        return joined[start - first * BLOCK : end - first * BLOCK]

    def _block(self, url: str, thing: Thing, number: int) -> bytes:
        """A block of an object; of several threads that want it, one fetches it."""
        place = url, thing.stamp, number
        with self._lock:
            found = self._blocks.get(place)
            mine = found is None
            waited = self._blocks[place] = found or Future()
            self._blocks.move_to_end(place)
            while len(self._blocks) > MOST_BLOCKS:
                self._blocks.popitem(last=False)
        if mine:
            try:
                waited.set_result(self.read(url, number * BLOCK, min((number + 1) * BLOCK, thing.size)))
            except BaseException as error:
                with self._lock:
                    self._blocks.pop(place, None)
                waited.set_exception(error)
        return waited.result()


def objects_of(url: str) -> Objects:
    """The store of a URL. There is one for each scheme in a process, as file systems have it in fsspec."""
    return _objects(scheme_of(url), os.getpid())


@cache
def _objects(scheme: str, process: int) -> Objects:
    """Connections do not outlive a fork, so each process has its own."""
    return Objects(scheme)


def _file_system(scheme: str) -> Any:
    """The file system of fsspec, which finds credentials and endpoints where others of its kind do.

    It remembers no listings, as `Objects` does, and tries nothing again, as `steadily` does.
    """
    import fsspec

    known: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme == "memory":
        return fsspec.filesystem(scheme)
    if scheme != "s3":
        for name in TALKATIVE:  # what they tell there is in their errors, too
            logging.getLogger(name).addHandler(logging.NullHandler())
        try:
            return fsspec.filesystem(scheme, **known)
        except ValueError as error:  # adlfs, where it is told no account
            hint = "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
            raise RemoteError(f"{scheme}://: no account was found ({error})", hint) from error
    known["max_concurrency"] = 1  # of a whole object it would ask for the size first, to fetch it in pieces
    found = fsspec.filesystem(scheme, config_kwargs={"retries": {"total_max_attempts": 1}}, **known)
    found.retries = 1
    return found


def _is(info: Mapping[str, Any], url: str) -> bool:
    """Whether something that was listed is the folder itself, for which some tools keep an empty object."""
    return str(info["name"]).strip("/") == url.partition("://")[2]


def _name(info: Mapping[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]


def _thing(info: Mapping[str, Any]) -> Thing:
    if info["type"] == "directory":
        return Thing(_name(info), True)
    return Thing(_name(info), False, int(info["size"] or 0), stamp_of(info))


def stamp_of(info: Mapping[str, Any]) -> str:
    """Size, version and ETag of an object, as far as the store tells; where it tells neither, the time of change."""
    said = [str(info[name]).strip('"') for name in VERSIONS if info.get(name)]
    times = [str(info[name]) for name in TIMES if info.get(name)]
    return "-".join([str(info["size"]), *(said or times[:1])])


def _by_name(things: list[Thing], url: str) -> dict[str, Thing]:
    found = {thing.name: thing for thing in things}
    if len(found) < len(things):
        names = Counter(thing.name for thing in things)
        twice = next(name for name, count in names.items() if count > 1)
        raise RemoteError(f"{url}/{twice} is both an object and a folder", "rename one of them")
    return found


def _above(url: str) -> str:
    return url.rpartition("/")[0]
