"""Pictures for the page, made when they are asked for: always decoded and encoded again, never the bytes of a file."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageStat

from augforge.data import images
from augforge.data.files import write_atomically
from augforge.data.pictures import MASK, kind_of
from augforge.data.preprocessing import decode
from augforge.data.vector_parts import is_digest
from augforge.errors import BadImage, StoreError
from augforge.report.colours import palette
from augforge.report.pictures import Pictures
from augforge.report.strips import shown as coloured
from augforge.report.thumbnails import QUALITY, SMALL
from augforge.view.index import Index
from augforge.view.refusals import forbidden

SIDES = (128, 192, 256, 512)
"""Sides of thumbnails, which are kept on the disk."""
LARGEST = 4096
CACHE_BYTES = 512_000_000
"""Bytes of thumbnails of one run that are kept; the oldest go first."""
DECODED = 4
"""Pictures that are decoded at a time: each takes as much memory as it has pixels."""
LEFT = 0.8
"""The share of them that is left once some have to go."""
WITHHELD = ("", "it was flagged as unsafe", "the safety filter never saw it")
NEEDED = ("digest", "ref", "pictures")


class Thumbs:
    """The pictures of a run; thumbnails are kept in `cache`, up to `most` bytes.

    What is withheld in the report is withheld here: it is never read.
    """

    def __init__(self, index: Index, pictures: Pictures, cache: Path, most: int = CACHE_BYTES) -> None:
        self._index, self._cache, self._most = index, cache, most
        self._pictures = pictures
        self._reading, self._counting, self._decoding = Lock(), Lock(), BoundedSemaphore(DECODED)
        self._size: int | None = None

    def thumb(self, row: int, side: int) -> bytes:
        """The WebP thumbnail of a row, its longer side at most one of `SIDES`.

        Raises:
            Refusal: it is withheld.
            BadImage: its bytes are gone, or can no longer be decoded.
        """
        known = self._known(row)
        path: Path = self._cache / known["digest"][:2] / f"{known['digest']}-{side}.webp"
        with suppress(OSError):
            return path.read_bytes()
        with self._decoding:
            made = _webp(_small(decode(self._bytes(known), side), side))
        self._keep(path, made)
        return made

    def picture(self, row: int, side: int) -> bytes:
        """The picture of a row as WebP, RGB and upright, its longer side at most `side` px; errors as `thumb`."""
        known = self._known(row)
        with self._decoding:
            return _webp(_small(images.decode(self._bytes(known)), side))

    def beside(self, row: int, name: str, side: int) -> bytes:
        """A picture that goes with the image of a row, in colours for people; errors as `thumb`."""
        known = self._known(row)
        with self._reading:
            data = self._pictures.beside(known, name)
        with self._decoding:
            if name == MASK:
                return _webp(_mask(data, side), lossless=True)
            return _webp(_small(coloured(name, kind_of(name).decoded(data)), side))

    def difference(self, child: int, parent: int, side: int) -> tuple[bytes, float]:
        """By how much each value of a child differs from its parent's, which is scaled to it; and the mean of that.

        Errors as `thumb`.
        """
        known = [self._known(row) for row in (child, parent)]
        with self._decoding:
            first, second = (_small(images.decode(self._bytes(each)), side) for each in known)
            apart = ImageChops.difference(first, second.resize(first.size, Image.Resampling.LANCZOS))
            return _webp(apart), float(np.mean(ImageStat.Stat(apart).mean))

    def _known(self, row: int) -> dict[str, Any]:
        """The row as `Pictures` wants it."""
        if why := WITHHELD[int(self._index.column("hidden")[row])]:
            raise forbidden(f"this picture is withheld: {why}")
        (texts,) = self._index.texts.take(np.array([row]), NEEDED)
        if not is_digest(texts["digest"] or ""):  # it becomes the name of a file
            raise BadImage("nothing is known of its bytes")
        kept = bool(self._index.column("kept")[row])
        return {**texts, "id": self._index.identity(row), "kept": kept}

    def _bytes(self, known: dict[str, Any]) -> bytes:
        with self._reading:  # sources are opened when they are first asked, and some read one thing at a time
            return self._pictures.image(known)

    def _keep(self, path: Path, data: bytes) -> None:
        """Write a thumbnail; where that fails it is only made again."""
        with suppress(StoreError):
            write_atomically(path, data)
        with self._counting:
            if self._size is None:
                self._size = sum(size for _, size, _ in _files(self._cache))
            self._size += len(data)
            if self._size > self._most:
                self._size = _pruned(self._cache, int(LEFT * self._most))


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of change, size and path of each thumbnail."""
    found = []
    for path in folder.glob("*/*.webp"):
        with suppress(OSError):  # another server of the same run may remove it
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    return found


def _pruned(folder: Path, most: int) -> int:
    """Remove the oldest thumbnails until `most` bytes are left; how many are."""
    files = sorted(_files(folder))
    left = sum(size for _, size, _ in files)
    for _, size, path in files:
        if left <= most:
            break
        with suppress(OSError):
            path.unlink()
            left -= size
    return left


def _small(image: Image.Image, side: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def _mask(data: bytes, side: int) -> Image.Image:
    """A label map in colours, label 0 transparent; a picture as it is."""
    mask = images.decode_condition(data)
    if mask.ndim == 3:
        return _small(Image.fromarray(mask), side)
    scale = min(1.0, side / max(mask.shape))
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    labels = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return Image.fromarray(palette()[labels])


def _webp(image: Image.Image, lossless: bool | None = None) -> bytes:
    out = io.BytesIO()
    exact = max(image.size) <= SMALL if lossless is None else lossless
    image.save(out, "WEBP", quality=QUALITY, lossless=exact, method=2)
    return out.getvalue()
