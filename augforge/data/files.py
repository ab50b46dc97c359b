"""Atomic writes with errors that name the file and the remedy, and JSON that carries its own digest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from reprlib import repr as short
from typing import Any

from augforge.errors import StoreError

SEAL = "sha256"
"""The key of a sealed JSON object that holds the digest of all the others."""
GO_ON = "what was done is kept: run the same command to go on"
REMEDIES = {
    errno.ENOSPC: f"free some space, or choose another --out; {GO_ON}",
    errno.EDQUOT: f"the quota is used up: free some space, or choose another --out; {GO_ON}",
    errno.EIO: f"the disk or its connection fails: look into the system's log; {GO_ON}",
    errno.EROFS: "it is on a file system that may only be read: choose another --out",
    errno.EACCES: "change its permissions, or choose another --out",
    errno.EPERM: "change its permissions, or choose another --out",
}


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn an OSError of the block, in which `path` is written, into a StoreError that names it and the remedy."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = REMEDIES.get(error.errno or 0, "choose another --out")
        raise StoreError(f"{path} cannot be written: {why}", remedy) from error


def is_file(text: str | Path) -> bool:
    """Whether a text names a file; False for what can be no name at all."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a byte that no name may have
        return False


def check_name(path: Path) -> None:
    """StoreError for what can be the name of no file or folder: too long, or with a byte that no name may have."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise StoreError(f"{short(str(path))} is no name of a file or folder: {why}", "give another one") from error


def check_target(path: Path, folder: bool = False) -> None:
    """Refuse, before any work is done for it, a file (or `folder`) that cannot be written.

    Raises:
        StoreError: something of the other kind is there, or it would lie in what is no folder or may not be written.
    """
    check_name(path)
    if path.exists() and path.is_dir() != folder:
        here, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise StoreError(f"{path} is a {here}", f"give the name of a {wanted}")
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if there != path and not there.is_dir():
        raise StoreError(f"{path} cannot be written: {there} is a file", "choose another place for it")
    if not os.access(there, os.W_OK):
        raise StoreError(f"{path} cannot be written: {there} may only be read", "choose another place for it")


def write_atomically(path: Path, content: Any) -> None:
    """Write a file completely or not at all, even across a power cut: temporary file, fsync, rename, fsync of folder.

    Who may read and write a file that was there stays as it was.

    Raises:
        StoreError: it cannot be written; no partial file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                with suppress(OSError):  # there is none yet, or its file system knows no permissions
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    sync(folder)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def swap_folder(new: Path, old: Path) -> None:
    """Replace the folder `old` by the finished folder `new`."""
    aside = old.with_name(f".{old.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        old.rename(aside)
    new.rename(old)
    sync_folder(old.parent)
    shutil.rmtree(aside, ignore_errors=True)


def seal(value: Mapping[str, Any]) -> bytes:
    """A JSON object with the digest of its content in it, so that a changed byte is noticed."""
    plain = json.loads(json.dumps(value))
    return json.dumps({**plain, SEAL: _digest(plain)}, indent=1, ensure_ascii=False).encode()


def unseal(content: bytes) -> dict[str, Any]:
    """What `seal` was given; ValueError if a byte of it was changed."""
    sealed = json.loads(content)
    if not isinstance(sealed, dict):
        raise ValueError("it is no JSON object")
    plain = {name: value for name, value in sealed.items() if name != SEAL}
    if SEAL not in sealed:
        raise ValueError("it carries no SHA-256 of its content")
    if sealed[SEAL] != _digest(plain):
        raise ValueError("its content does not match its SHA-256")
    return plain


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content of a sealed file, None if there is no file.

    Raises:
        StoreError: it is damaged or cannot be read.
    """
    try:
        return unseal(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", "run the command again") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}", "run the command that made it again") from error


def digest_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits, read piece by piece (not mapped: a read error is then an OSError)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
