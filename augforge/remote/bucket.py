"""The objects below a URL of S3, read and written, also on the condition that nobody else has written there.

Whether a store keeps such conditions is what a lease depends on, so that they are in one place: `put_new` and
`put_over`. S3 has them as `If-None-Match` and `If-Match`; other stores have preconditions of their own, which nobody
has tried here, and are refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from augforge.errors import RemoteError
from augforge.remote.faults import is_refused_condition, steadily
from augforge.remote.objects import objects_of, stamp_of
from augforge.remote.urls import checked, scheme_of

CONDITIONAL = ("s3",)
"""The schemes whose conditions are kept."""
PIECE = 32 << 20
"""Bytes of an object that are fetched at a time, and of a part of a large one that is written."""
AT_ONCE = 8
"""Objects that are fetched, written or removed at the same time."""


class Seen(NamedTuple):
    """An object with its ETag, and the seconds since it was written, by the clock of the store alone."""

    content: bytes
    etag: str
    age: float


class Bucket:
    """What lies below `url`, by the rest of its path: "run.json", "parts/source/0f.arrow"."""

    def __init__(self, url: str) -> None:
        scheme = scheme_of(url)
        if scheme not in CONDITIONAL:
            raise RemoteError(
                f"no run is written to {url}: that only one process writes cannot be made sure on {scheme}://",
                "write to s3://, or to a folder and copy that",
            )
        self.url = checked(url)
        self._bucket, _, inside = self.url.partition("://")[2].partition("/")
        self._inside = f"{inside}/" if inside else ""
        self._fs = objects_of(self.url).fs

    def __str__(self) -> str:
        return self.url

    def stamps(self, below: str = "") -> dict[str, tuple[int, str]]:
        """Size in bytes and stamp of every object below the URL, or below a folder there, by its name."""
        place = self._place(below) if below else self.url
        try:
            found = steadily(f"{place} cannot be listed", lambda: self._fs.find(place, detail=True))
        except FileNotFoundError:
            return {}
        root = f"{self.url.partition('://')[2]}/"
        return {
            str(info["name"]).removeprefix(root): (int(info["size"]), stamp_of(info))
            for info in found.values()
            if str(info["name"]).startswith(root) and info["type"] == "file"
        }

    def top(self) -> set[str]:
        """The names of what lies directly below the URL."""
        try:
            found = steadily(f"{self.url} cannot be listed", lambda: self._fs.ls(self.url, detail=False))
        except FileNotFoundError:
            return set()
        return {str(name).rstrip("/").rpartition("/")[2] for name in found}

    def read(self, name: str) -> bytes | None:
        """All bytes of an object, None if there is none."""
        try:
            return bytes(steadily(f"{self.url}/{name} cannot be read", lambda: self._fs.cat_file(self._place(name))))
        except FileNotFoundError:
            return None

    def fetch(self, name: str, size: int, path: Path) -> None:
        """Write an object of `size` bytes into a file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        with unfinished.open("wb") as file:
            for start in range(0, size, PIECE):
                file.write(self._piece(name, start, min(start + PIECE, size)))
        unfinished.replace(path)

    def _piece(self, name: str, start: int, end: int) -> bytes:
        what = f"{self.url}/{name} cannot be read"
        return bytes(steadily(what, lambda: self._fs.cat_file(self._place(name), start=start, end=end)))

    def put(self, name: str, content: Any, patience: float | None = None) -> None:
        """Write an object, whole or not at all: it is there when this returns."""
        data = memoryview(content)
        many = {"chunksize": PIECE, "max_concurrency": AT_ONCE}
        write = partial(self._fs.pipe_file, self._place(name), bytes(data), **many)
        steadily(f"{self.url}/{name} cannot be written", write, patience)

    def put_file(self, name: str, path: Path) -> str:
        """Write a file as an object, a large one in parts; its stamp."""
        many = {"chunksize": PIECE, "max_concurrency": AT_ONCE}
        write = partial(self._fs.put_file, str(path), self._place(name), **many)
        steadily(f"{self.url}/{name} cannot be written", write)
        return stamp_of(steadily(f"{self.url}/{name} cannot be read", lambda: self._fs.info(self._place(name))))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        steadily(f"{self.url}/{name} cannot be removed", lambda: self._call("delete_object", name))

    def look(self, name: str) -> Seen | None:
        """An object as it is now, None if there is none."""
        from fsspec.asyn import sync

        def get() -> Seen:
            answer = self._call("get_object", name)
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            written: datetime = answer["LastModified"]
            content = bytes(sync(self._fs.loop, answer["Body"].read))
            return Seen(content, answer["ETag"], (now - written).total_seconds())

        try:
            return steadily(f"{self.url}/{name} cannot be read", get)
        except FileNotFoundError:
            return None

    def put_new(self, name: str, content: bytes) -> str | None:
        """Write an object that is not there yet; its ETag, or None if it is there, be it by an answer that was lost."""
        return self._on_condition(name, content, None, IfNoneMatch="*")

    def put_over(self, name: str, content: bytes, etag: str, patience: float | None = None) -> str | None:
        """Write over an object that still has an ETag; the new one, or None if it has another or is gone."""
        return self._on_condition(name, content, patience, IfMatch=etag)

    def _on_condition(self, name: str, content: bytes, patience: float | None, **condition: str) -> str | None:
        def put() -> str | None:
            try:
                return str(self._call("put_object", name, Body=content, **condition)["ETag"])
            except FileNotFoundError:
                if "IfMatch" in condition:
                    return None
                raise  # there is no such bucket
            except Exception as error:
                if is_refused_condition(error):
                    return None
                raise

        try:
            return steadily(f"{self.url}/{name} cannot be written", put, patience)
        except FileNotFoundError as error:
            raise RemoteError(f"there is no bucket {self._bucket}", "create it, or check the name") from error

    def _call(self, method: str, name: str, **given: Any) -> Any:
        return self._fs.call_s3(method, Bucket=self._bucket, Key=f"{self._inside}{name}", **given)

    def _place(self, name: str) -> str:
        return f"{self.url}/{name}"


def all_at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls return, made `AT_ONCE` at a time; the first error ends it."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(lambda call: call(), calls))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
