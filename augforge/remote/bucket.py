"""The objects below a URL of an object store, read and written, also if nobody else has written there.

The conditions, on which a lease depends, are written otherwise in each store (`augforge.remote.conditions`); all else
goes through fsspec.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from augforge.errors import RemoteError
from augforge.remote.conditions import KINDS, conditions_of
from augforge.remote.conditions.protocol import AT_ONCE, PIECE, Seen
from augforge.remote.faults import steadily
from augforge.remote.objects import objects_of, stamp_of
from augforge.remote.urls import checked, scheme_of


class Bucket:
    """What lies below `url`, by the rest of its path: "run.json", "parts/source/0f.arrow"."""

    def __init__(self, url: str) -> None:
        scheme = scheme_of(url)
        if scheme not in KINDS:
            raise RemoteError(
                f"no run is written to {url}: that only one process writes cannot be made sure on {scheme}://",
                "write to s3://, gs:// or az://, or to a folder and copy that",
            )
        self.url = checked(url)
        self._bucket, _, inside = self.url.partition("://")[2].partition("/")
        if "@" in self._bucket:
            raise RemoteError(
                f"{url} names an account, which is not looked at",
                f"write {scheme}://{self._bucket.partition('@')[0]}/FOLDER, and set AZURE_STORAGE_ACCOUNT_NAME",
            )
        self._inside = f"{inside}/" if inside else ""
        self._fs = objects_of(self.url).fs
        self._conditions = conditions_of(scheme, self._fs, self._bucket)

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
        write = partial(self._fs.pipe_file, self._place(name), bytes(data), **self._conditions.writing)
        steadily(f"{self.url}/{name} cannot be written", write, patience)

    def put_file(self, name: str, path: Path) -> str:
        """Write a file as an object, a large one in parts; its stamp."""
        write = partial(self._fs.put_file, str(path), self._place(name), **self._conditions.writing)
        steadily(f"{self.url}/{name} cannot be written", write)
        return stamp_of(steadily(f"{self.url}/{name} cannot be read", lambda: self._fs.info(self._place(name))))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        steadily(f"{self.url}/{name} cannot be removed", lambda: self._conditions.remove(self._key(name)))

    def look(self, name: str) -> Seen | None:
        """An object as it is now, None if there is none."""
        try:
            return steadily(f"{self.url}/{name} cannot be read", lambda: self._conditions.look(self._key(name)))
        except FileNotFoundError:
            return None

    def put_new(self, name: str, content: bytes) -> str | None:
        """Write an object that is not there yet; its ETag, or None if it is there, be it by an answer that was lost."""
        return self._on_condition(name, content, None, None)

    def put_over(self, name: str, content: bytes, etag: str, patience: float | None = None) -> str | None:
        """Write over an object that still has an ETag; the new one, or None if it has another or is gone."""
        return self._on_condition(name, content, etag, patience)

    def _on_condition(self, name: str, content: bytes, over: str | None, patience: float | None) -> str | None:
        put = partial(self._conditions.put, self._key(name), content, over)
        try:
            return steadily(f"{self.url}/{name} cannot be written", put, patience)
        except FileNotFoundError as error:
            raise RemoteError(f"there is no bucket {self._bucket}", "create it, or check the name") from error

    def _key(self, name: str) -> str:
        return f"{self._inside}{name}"

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
