"""The masks of a folder of images: which file belongs to which image, and whether a folder `masks` holds any."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from augforge.data.pictures import MASK
from augforge.errors import BadImage
from augforge.io.base import Entry, file_stamp
from augforge.remote.places import is_file, is_there, open_file, path_of, read_bytes, real_path, scandir

SUFFIXES = frozenset({"png", "bmp", "gif", "tif", "tiff", "pgm", "webp", "jpg", "jpeg"})
"""What is looked at as a mask, in any case. Only PNG can be a label map; conditions may be pictures of any kind."""
PNG = b"\x89PNG\r\n\x1a\n"
ONE_CHANNEL = (0, 3)
"""The colour types of PNG for grey and for palettes."""
OPEN_FOLDERS = 16


class Masks:
    """Finds the mask of an image by its name.

    `folders` has the folder of the masks (a path) for the images in each folder of the source (its path inside, ""
    for all). The mask of `train/cat/a.jpg` in `train` is the file `cat/a` with any suffix, or else `a`: the longest
    tail of the image's path that is there.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = dict(folders)
        self._names = lru_cache(OPEN_FOLDERS)(_stems)

    def __bool__(self) -> bool:
        return bool(self._folders)

    def path(self, locator: str) -> str | None:
        """The path of the mask of an image, None if it has none."""
        for base, masks in self._folders.items():
            above = f"{base}/" if base else ""
            for tail in tails(locator.removeprefix(above)) if locator.startswith(above) else ():
                folder, _, stem = f"{masks}/{tail}".rpartition("/")
                if name := self._names(folder).get(stem):
                    return f"{folder}/{name}"
        return None

    def read(self, locator: str) -> bytes:
        """The bytes of the mask of an image; BadImage if there is none, or it leads out of the masks' folder."""
        path = self.path(locator)
        if path is None:
            raise BadImage("it has no mask")
        real = real_path(path)
        folders = [real_path(folder).rstrip(os.sep) + os.sep for folder in self._folders.values()]
        if not real.startswith(tuple(folders)):
            raise BadImage("symlink leads out of the masks' folder")
        if is_there(real) and not is_file(real):
            raise BadImage("not a regular file")
        try:
            return read_bytes(path)
        except OSError as error:
            raise BadImage(f"cannot be read: {error.strerror or error}") from error

    def attach_to(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries with their masks; those that would share one mask have a problem instead."""
        self._names.cache_clear()
        listed = list(entries)
        paths = [self.path(entry.locator) for entry in listed]
        claims = Counter(path for path in paths if path is not None)
        for entry, path in zip(listed, paths, strict=True):
            if path is None:
                yield entry
            elif claims[path] > 1:
                shared = f"its mask {path.rpartition('/')[2]} fits {claims[path]} images"
                yield replace(entry, problem=entry.problem or shared)
            else:
                yield replace(entry, pictures={**entry.pictures, MASK: f"{path} {_stamp(path)}"})


def tails(locator: str) -> Iterator[str]:
    """The path without suffix, then shorter and shorter tails of it: `a/b/c`, `b/c`, `c`."""
    folder, _, name = locator.rpartition("/")
    stem = name.rpartition(".")[0] or name
    parts = [*(folder.split("/") if folder else []), stem]
    yield from ("/".join(parts[start:]) for start in range(len(parts)))


def are_masks(masks: Iterable[str], images: Iterable[str], folder: str) -> bool:
    """Whether files are masks rather than a class: each fits exactly one image, and the first is a PNG of one channel.

    Args:
        masks: the paths of all files inside the folder of masks.
        images: the paths of all images beside it, inside the folder that holds both.
        folder: the path of the folder of masks.
    """
    files = list(masks)
    if not files or not _one_channel(f"{folder}/{files[0]}"):
        return False
    there = {next(tails(file)) for file in files}
    owners = Counter(next((tail for tail in tails(image) if tail in there), None) for image in images)
    return all(owners[tail] == 1 for tail in there)


def _one_channel(path: str) -> bool:
    try:
        with open_file(path) as file:
            head = file.read(26)
    except OSError:
        return False
    return head.startswith(PNG) and len(head) == 26 and head[25] in ONE_CHANNEL


def _stems(folder: str) -> dict[str, str]:
    """The image files of a folder by their names without suffix; of several with one name, a PNG before others."""
    try:
        with scandir(folder) as found:
            names = sorted((entry.name for entry in found), key=lambda name: (not name.lower().endswith(".png"), name))
    except OSError:
        return {}
    stems: dict[str, str] = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        if stem and suffix.lower() in SUFFIXES:
            stems.setdefault(stem, name)
    return stems


def _stamp(path: str) -> str:
    try:
        return file_stamp(path_of(path))
    except OSError:
        return "missing"
