"""Tar archives as files that can be read anywhere, compressed or not, in bounded memory.

A compressed archive cannot be read in the middle. It is unpacked once, piece by piece, into a temporary file that has
no name, so that it is gone when the process is, however that ends. When those files together pass `MOST_KEPT`, the one
that was not needed for the longest time goes first, and is unpacked again if it is needed again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from augforge.errors import BadImage, SourceError
from augforge.io.listing import Listing
from augforge.io.tree import SUFFIXES

Opener = Callable[[IO[bytes]], Any]
MOST_KEPT = 8 << 30
"""Bytes of unpacked archives that are kept at a time; one that is larger is kept alone."""
SPARE = 256 << 20
"""Bytes that are left free on the disk of temporary files."""
PIECE = 1 << 20
DEEP = 4
"""Folders below each other in which archives are looked for, to find out what a folder is."""
TRUNCATED = "truncated: its archive ends before it"


@dataclass(slots=True)
class _Unpacked:
    """An unpacked archive; `problem` says why it ends early ("" when it does not)."""

    file: IO[bytes]
    size: int = 0
    problem: str = ""


class Archives:
    """The tar archives below the folder `root`, by their paths inside of it. May be used from several threads."""

    def __init__(self, root: Path, where: str) -> None:
        self._root, self._where = root, where
        self._unpacked: OrderedDict[str, _Unpacked] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[IO[bytes], str]]:
        """An archive from its beginning, unpacked, and why its end is missing ("" when it is not)."""
        opener = _opener(name)
        if opener is None:
            with (self._root / name).open("rb") as file:
                yield file, ""
            return
        unpacked = self._of(name, opener)
        with os.fdopen(os.dup(unpacked.file.fileno()), "rb") as file, self._lock:
            file.seek(0)
            yield file, unpacked.problem

    def part(self, name: str, offset: int, size: int) -> bytes:
        """`size` bytes of an unpacked archive; BadImage where they cannot be had."""
        try:
            opener = _opener(name)
            if opener is None:
                with (self._root / name).open("rb") as file:
                    file.seek(offset)
                    data = file.read(size)
            else:
                unpacked = self._of(name, opener).file
                data = os.pread(unpacked.fileno(), size, offset)
        except OSError as error:
            raise BadImage(f"cannot be read: {error.strerror or error}") from error
        if len(data) < size:
            raise BadImage(TRUNCATED)
        return data

    def _of(self, name: str, opener: Opener) -> _Unpacked:
        with self._lock:
            if name not in self._unpacked:
                self._unpacked[name] = self._unpack(name, opener)
                self._make_room()
            self._unpacked.move_to_end(name)
            return self._unpacked[name]

    def _make_room(self) -> None:
        """Let the oldest go; their files are closed when nobody reads them any more."""
        while len(self._unpacked) > 1 and sum(one.size for one in self._unpacked.values()) > MOST_KEPT:
            self._unpacked.popitem(last=False)

    def _unpack(self, name: str, opener: Opener) -> _Unpacked:
        unpacked = _Unpacked(tempfile.TemporaryFile(prefix="augforge-"))  # noqa: SIM115 - it is kept open
        with (self._root / name).open("rb") as packed:
            for piece in _pieces(opener, packed, unpacked):
                self._refuse_to_fill_the_disk(name, len(piece))
                unpacked.file.write(piece)
                unpacked.size += len(piece)
        unpacked.file.flush()
        return unpacked

    def _refuse_to_fill_the_disk(self, name: str, more: int) -> None:
        folder = tempfile.gettempdir()
        if shutil.disk_usage(folder).free - more < SPARE:
            raise SourceError(
                f"{self._where}: there is no room in {folder} to unpack {name}",
                "set the environment variable TMPDIR to a folder with more room, or unpack it to a .tar yourself",
            )


def _pieces(opener: Opener, packed: IO[bytes], unpacked: _Unpacked) -> Iterator[bytes]:
    """What is in a compressed file, piece by piece, up to where it is damaged."""
    from lzma import LZMAError

    try:
        with opener(packed) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except (OSError, EOFError, zlib.error, LZMAError, ValueError) as error:
        unpacked.problem = str(error) or type(error).__name__


def _gzip(file: IO[bytes]) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=file)


def _zstd(file: IO[bytes]) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


def _bzip2(file: IO[bytes]) -> Any:
    import bz2

    return bz2.BZ2File(file)


def _xz(file: IO[bytes]) -> Any:
    import lzma

    return lzma.LZMAFile(file)


OPENERS: dict[str, Opener | None] = {
    ".tar": None,
    ".tar.gz": _gzip,
    ".tgz": _gzip,
    ".tar.zst": _zstd,
    ".tar.zstd": _zstd,
    ".tzst": _zstd,
    ".tar.bz2": _bzip2,
    ".tar.xz": _xz,
}
"""How archives with each suffix are unpacked; None where there is nothing to unpack."""


def _opener(name: str) -> Opener | None:
    return next(opener for suffix, opener in OPENERS.items() if name.lower().endswith(suffix))


def is_archive(name: str) -> bool:
    """Whether a file is named as a tar archive, compressed or not."""
    return name.lower().endswith(tuple(OPENERS)) and not name.startswith(".")


def holds_archives(listing: Listing) -> bool:
    """Whether tar archives lie at the top of a folder.

    Those that are compressed or lie further down count if no images or Parquet files are there.
    """
    if any(name.endswith(".tar") for name in listing.top.files):
        return True
    found = False
    for below in listing.folders(DEEP):
        if any(name.rpartition(".")[2].lower() in (*SUFFIXES, "parquet") for name in below.files):
            return False
        found = found or any(map(is_archive, below.files))
    return found
