"""A tree of files that is never left: symlinks that lead out of it or back up are problems, not images."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from augforge.data.formats import HEAD, kind_of
from augforge.errors import BadImage, SourceError
from augforge.io.base import MISSING, Entry, natural
from augforge.io.stamps import is_folder
from augforge.remote.places import Found, open_file, read_bytes, real_path, scandir, stamp_of

SUFFIXES = frozenset({
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "gif", "tif", "tiff",
    "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "avif", "heic", "heif", "avifs", "cur", "dds", "heics", "hif", "icns",
    "ico", "j2c", "jpc", "jpf", "jpx", "jxl", "mpo", "pcx", "pfm", "psd", "qoi", "ras", "sgi", "tga", "xbm", "xpm",
})  # fmt: skip
"""What counts as an image, in any case. HEIC and JPEG XL need a package, but must not be passed over in silence."""
DOUBTFUL = frozenset({
    "", "blp", "bw", "dat", "icb", "image", "img", "msp", "pic", "pict", "rgb", "rgba", "sun", "vda", "vst",
})  # fmt: skip
"""Suffixes that images and others have, and none: the first bytes decide."""
LEADS_OUT = "symlink leads out of the source"


class _Walk(NamedTuple):
    """A folder to look through: its path below the root, and the real paths of the folders above it."""

    inside: str
    above: frozenset[str]


class Tree:
    """The image files below a folder, `root`; paths inside it are relative, with "" for the root itself.

    `ignored` counts the files that were passed over because they are no images, by kind: ".txt", or the name of a file
    without a suffix. Those that are named in `known` are read otherwise, and do not count.
    """

    def __init__(self, root: str, where: str) -> None:
        self.root, self._where = root, where
        self._real = real_path(root)
        self.ignored: Counter[str] = Counter()
        self.known: frozenset[str] = frozenset()

    def read(self, locator: str) -> bytes:
        """The bytes of a file; BadImage if it is gone, unreadable or outside of the folder."""
        path = os.path.join(self.root, locator)  # noqa: PTH118  # a Path a file is slow
        if not self.is_inside(real_path(path)):
            raise BadImage(LEADS_OUT)
        try:
            return read_bytes(path)
        except FileNotFoundError as error:
            raise BadImage(MISSING) from error
        except OSError as error:
            raise BadImage(f"cannot be read: {error.strerror or error}") from error

    def real_path(self, inside: str) -> str:
        """The absolute path of a folder inside, with all links followed."""
        return real_path(join(self.root, inside))

    def is_inside(self, real: str) -> bool:
        """Whether a real path lies in the tree."""
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _scan(self, inside: str) -> list[Found]:
        with scandir(join(self.root, inside)) as found:
            return sorted((e for e in found if not _hidden(e.name)), key=lambda e: e.name)

    def folders(self, inside: str) -> list[str]:
        """The sub-folders of a folder, in natural order."""
        try:
            return sorted(self._folder_names(inside), key=natural)
        except OSError as error:
            raise SourceError(f"{self._where}: {inside or 'it'} cannot be read: {error.strerror}") from error

    def _folder_names(self, inside: str) -> list[str]:
        with scandir(join(self.root, inside)) as found:
            return [entry.name for entry in found if not _hidden(entry.name) and is_folder(entry)]

    def readable_folders(self, inside: str) -> list[str]:
        """As `folders`; [] of a folder that cannot be read or lies outside."""
        try:
            return sorted(self._folder_names(inside), key=natural) if self.is_inside(self.real_path(inside)) else []
        except OSError:
            return []

    def has_images(self, inside: str) -> bool:
        """Whether an image lies in a folder itself."""
        with scandir(join(self.root, inside)) as found:
            return any(not _hidden(entry.name) and not is_folder(entry) and _is_image(entry) for entry in found)

    def files(self, inside: str, split: str | None) -> Iterator[Entry]:
        """The images that lie in a folder itself, without a label."""
        yield from self._files(self._scan(inside), inside, None, split)

    def _files(self, scanned: Iterable[Found], inside: str, label: str | None, split: str | None) -> Iterator[Entry]:
        for found in scanned:
            if not is_folder(found):
                yield from self._file(found, join(inside, found.name), label, split)

    def below(self, top: str, label: str | None, split: str | None) -> Iterator[Entry]:
        """The files of a class folder and of all folders below it; files first, then folder by folder."""
        waiting = [_Walk(top, frozenset([self._real]))]
        while waiting:
            inside, above = waiting.pop()
            real = self.real_path(inside)
            if problem := self._folder_problem(real, above):
                yield Entry(printable(inside), label, split, problem=problem)
                continue
            try:
                scanned = self._scan(inside)
            except OSError as error:
                yield Entry(printable(inside), label, split, problem=f"folder cannot be read: {error.strerror}")
                continue
            yield from self._files(scanned, inside, label, split)
            folders = [join(inside, entry.name) for entry in reversed(scanned) if is_folder(entry)]
            waiting += [_Walk(folder, above | {real}) for folder in folders]

    def _folder_problem(self, real: str, above: frozenset[str]) -> str:
        if not self.is_inside(real):
            return LEADS_OUT
        return "symlink leads back to a folder above" if real in above else ""

    def _file(self, found: Found, locator: str, label: str | None, split: str | None) -> Iterator[Entry]:
        if not _is_image(found):
            if found.name not in self.known:
                self.ignored[os.path.splitext(found.name)[1].lower() or printable(found.name)] += 1  # noqa: PTH122  # as above
            return
        stamp, problem = self._look(found)
        text = printable(locator)
        if text != locator:
            problem = "its name is not valid UTF-8"
        yield Entry(text, label, split, stamp, problem=problem)

    def _look(self, found: Found) -> tuple[str, str]:
        """Stamp and problem of a file."""
        try:
            facts = found.stat()
        except OSError as error:
            return "", MISSING if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        if found.is_symlink() and not self.is_inside(real_path(found.path)):
            return "", LEADS_OUT
        if not stat.S_ISREG(facts.st_mode):
            return "", "not a regular file"
        return stamp_of(facts), ""


def _is_image(found: Found) -> bool:
    """Whether a file is to be read as an image: by its suffix, or by its first bytes where that says nothing."""
    stem, _, suffix = found.name.rpartition(".")
    suffix = suffix.lower()
    if suffix in SUFFIXES:
        return True
    if (suffix if stem else "") not in DOUBTFUL:
        return False
    try:
        if not found.is_file():
            return False
        with open_file(found.path) as file:
            return bool(kind_of(file.read(HEAD)))
    except OSError:
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def join(folder: str, name: str) -> str:
    """The path of `name` in a folder; either may be ""."""
    return f"{folder}/{name}" if folder and name else folder or name


def printable(name: str) -> str:
    """A file name as text that can be written everywhere: bytes that are not UTF-8 become backslash codes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode(errors="backslashreplace")
    return name
