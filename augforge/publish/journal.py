"""How an export goes on after it was killed: what is done is noted shard by shard, and checked before it is trusted."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from augforge.data.files import write_atomically
from augforge.errors import StoreError
from augforge.io.records import MANIFEST
from augforge.io.writing import WORK, Line, Outlet, Shard, inside

FORMAT = 1
BEFORE = "before.json"
"""The files of earlier exports into the same folder, which go when this one is complete."""


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the folder of an export; StoreError if another process does, or if it holds files that are not of one."""
    inner = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.exists() and not out.is_dir():
        raise StoreError(f"{out} is a file", "choose a folder for --out")
    if inner and not inner & {MANIFEST, WORK}:
        raise StoreError(f"{out} holds files that are not of an export", "choose an empty or new folder for --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{out} cannot be made: {error.strerror}", "choose another --out") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(f"another augforge is exporting to {out}", "wait for it, or choose another --out") from None
    finally:
        os.close(handle)


def refuse_other(out: Path, to: str, name: str) -> None:
    """StoreError where a folder holds a finished export in another format than `to`, or of a run not called `name`."""
    manifest = _json(out / MANIFEST)
    there = (manifest.get("format"), manifest.get("name"))
    if manifest and there != (to, name):
        raise StoreError(
            f"{out} holds an export of {there[1]} as {there[0]}, not of {name} as {to}",
            "choose another --out, or give --replace to write over it",
        )


class Journal:
    """What is done of an export into `out`, which has the key `key`."""

    def __init__(self, out: Path, key: str) -> None:
        self.out, self.key = out, key
        self._work = out / WORK

    def finished(self) -> dict[str, Any] | None:
        """The manifest of this very export, if it is complete and every file is whole; else None."""
        manifest = _json(self.out / MANIFEST)
        if manifest.get("key") != self.key or manifest.get("version") != FORMAT:
            return None
        if self.damaged(manifest.get("files", {})):
            return None
        shutil.rmtree(self._work, ignore_errors=True)
        return manifest

    def damaged(self, files: Mapping[str, Any]) -> list[str]:
        """The names of files that are missing or whose bytes are not those that were written."""
        return [name for name, facts in files.items() if not self._is_whole(name, facts)]

    def _is_whole(self, name: str, facts: Any) -> bool:
        try:
            path = inside(self.out, name)
            size, digest = (facts["bytes"], facts["sha256"]) if isinstance(facts, dict) else facts
            if path.stat().st_size != size:
                return False
            with path.open("rb") as file:
                return bool(hashlib.file_digest(file, "sha256").hexdigest() == digest)
        except (OSError, ValueError, TypeError, KeyError):
            return False

    def begin(self, keys: Mapping[str, str]) -> None:
        """Take note of what earlier exports left, before it is written over; `keys` are the shards of this one."""
        before = set(_json(self._work / BEFORE).get("files", ())) | set(_json(self.out / MANIFEST).get("files", ()))
        for path in self._work.glob("shard-*.json"):
            record = _json(path)
            if record.get("key") != keys.get(path.stem.removeprefix("shard-")):
                before |= set(record.get("files", ()))
                path.unlink()
        for leftover in self._work.glob("*.tmp"):
            leftover.unlink()
        write_atomically(self._work / BEFORE, json.dumps({"files": sorted(before)}).encode())
        (self.out / MANIFEST).unlink(missing_ok=True)

    def done(self, shard: Shard, key: str) -> dict[str, Any] | None:
        """What was noted of a shard, if it is done and its files are whole."""
        record = _json(self._record(shard))
        if record.get("key") != key or self.damaged(record["files"]):
            return None
        return record

    def note(
        self, shard: Shard, key: str, files: Mapping[str, Any], lines: list[Line], marks: Mapping[str, int]
    ) -> None:
        """A shard is done."""
        record = {"key": key, "files": files, "lines": lines, "marks": marks}
        write_atomically(self._record(shard), json.dumps(record).encode())

    def lines(self, shard: Shard) -> list[Line]:
        """The lines that a writer returned of a shard that is done."""
        return list(_json(self._record(shard))["lines"])

    def end(self, outlet: Outlet, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Remove what earlier exports left, write the manifest, and forget the journal."""
        for name in set(_json(self._work / BEFORE).get("files", ())) - outlet.files.keys():
            _remove(self.out, name)
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(outlet.files.items())}
        whole = {"version": FORMAT, "key": self.key, **manifest, "files": files}
        write_atomically(self.out / MANIFEST, json.dumps(whole, indent=1, ensure_ascii=False).encode())
        shutil.rmtree(self._work, ignore_errors=True)
        return whole

    def _record(self, shard: Shard) -> Path:
        return self._work / f"shard-{shard.name}.json"


def _remove(out: Path, name: str) -> None:
    """Remove a file of an earlier export, and the folders that it leaves empty."""
    try:
        path = inside(out, name)
        if not path.parent.resolve().is_relative_to(out.resolve()):
            return
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != out:
            folder.rmdir()
            folder = folder.parent
    except (OSError, ValueError):  # a folder that is not empty stays
        return


def _json(path: Path) -> dict[str, Any]:
    """A JSON object of ours; {} if it is missing or damaged, so that what it stood for is made again."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
