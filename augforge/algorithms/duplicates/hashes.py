"""Perceptual hashes: 64 bits that hardly change when an image is encoded again, resized or lightly edited."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.preprocessing import simplejpeg

if TYPE_CHECKING:
    from PIL import Image

Hashes = NDArray[np.uint64]
Small = NDArray[np.uint8]

SIDE, LOW = 32, 8
NO_STRUCTURE = 0
"""The hash of a picture with nothing to compare: it is near to no other, not even to its own copy."""
LEAST_STRUCTURE = 0.15
"""Below this `structure` a picture gets no hash: encoding again changed up to 17 bits there, and up to 5 above."""
ODD = 0x5555555555555555
"""The bits of a hash that turn when the picture is mirrored. Bit 63 - (8 v + u) is frequency (v, u): u is odd."""
_JPEG = b"\xff\xd8\xff"
_BATCH, _TASK = 512, 32  # images read, and decoded by a thread, at a time


def phash(pictures: Sequence[Image.Image | NDArray[np.uint8]]) -> Hashes:
    """(n,) hashes of RGB or grey pictures, as PIL images or as arrays (h, w, 3) or (h, w) of 0 to 255.

    The picture is made grey and 32x32, and its 8x8 lowest DCT frequencies become bits (Zauner, 2010,
    *Implementation and Benchmarking of Perceptual Image Hash Functions*), with two changes. Frequencies that are
    odd in x change their sign when the picture is mirrored: they are compared with 0, the others with their own
    median, so that the hash of the mirrored picture follows from the hash (`mirrored`). And the bit of the mean,
    which says nothing, is always 1: `NO_STRUCTURE` is the hash of a picture whose frequencies are too weak.
    """
    from PIL import Image

    opened = (Image.fromarray(p) if isinstance(p, np.ndarray) else p for p in pictures)
    return hashes_of(shrunk([_small(picture) for picture in opened]))


def hash_bytes(data: bytes) -> int:
    """The hash of one encoded image, upright; JPEGs are decoded at a fraction of their size. BadImage as `images`."""
    return int(hashes_of(shrunk([reduced(data)]))[0])


def hash_many(data: Iterable[bytes | str | Path], threads: int | None = None) -> Hashes:
    """(n,) hashes of encoded images or of files, read and decoded in threads (a few more than CPUs), 1024 at a time.

    BadImage as `images`; OSError where a file cannot be read.
    """
    found = [np.empty(0, dtype=np.uint64)]
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[Small]] = []
        for batch in _batches(data):
            before = waiting
            waiting = [pool.submit(_read, batch[i : i + _TASK]) for i in range(0, len(batch), _TASK)]
            found.extend(hashes_of(future.result()) for future in before)
        found.extend(hashes_of(future.result()) for future in waiting)
    return np.concatenate(found)


def _read(batch: Sequence[bytes | str | Path]) -> Small:
    return shrunk([reduced(one if isinstance(one, bytes) else Path(one).read_bytes()) for one in batch])


def reduced(data: bytes) -> Small:
    """(h, w) an encoded image, grey, upright and so small that many can be held, for `shrunk`. BadImage as `images`."""
    return _drafted(data) if data.startswith(_JPEG) else _small(images.decode(data))


def shrunk(greys: Sequence[Small]) -> Small:
    """(n, 32, 32) pictures that were `reduced`, each (h, w): all that their hashes depend on."""
    found = np.empty((len(greys), SIDE, SIDE), dtype=np.uint8)
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, grey in enumerate(greys):
        alike.setdefault(grey.shape, []).append(place)
    for places in alike.values():
        found[places] = _shrunk(np.stack([greys[place] for place in places]))
    return found


def _shrunk(greys: Small) -> Small:
    """(n, 32, 32) pictures (n, h, w), made narrow and then low: all in one go, because threads wait at each call.

    Pillow 13 would make tall ones low first, which rounds differently.
    """
    n, height, width = greys.shape
    rows = _resized(greys.reshape(n * height, width), (SIDE, n * height)).reshape(n, height, SIDE)
    columns = np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(height, n * SIDE)
    return _resized(columns, (n * SIDE, SIDE)).reshape(SIDE, n, SIDE).transpose(1, 0, 2)


def hashes_of(smalls: Small) -> Hashes:
    """(n,) the hashes of images that were `shrunk`, (n, 32, 32)."""
    frequencies = _frequencies(smalls)
    thresholds = _thresholds(frequencies)
    bits = frequencies >= thresholds
    bits[:, 0, 0] = True
    packed = np.packbits(bits.reshape(-1, LOW * LOW), axis=1).view(">u8")[:, 0].astype(np.uint64)
    packed[_margin(frequencies, thresholds) < LEAST_STRUCTURE] = NO_STRUCTURE
    return packed


def mirrored(hashes: Hashes) -> Hashes:
    """(n,) the hashes of the pictures mirrored left to right."""
    flipped: Hashes = np.where(hashes == NO_STRUCTURE, hashes, hashes ^ np.uint64(ODD))
    return flipped


def canonical(hashes: Hashes) -> Hashes:
    """(n,) the smaller of each hash and its mirror's: the same for a picture and its exact mirror image.

    For looking up equal hashes only. Of two near-duplicates one may be turned and the other not, and then these
    differ in half of the bits: to search within a distance, let `near_pairs` look at both.
    """
    return np.minimum(hashes, mirrored(hashes))


def structure(smalls: Small) -> NDArray[np.float64]:
    """(n,) how far a typical frequency of grey pictures (n, 32, 32) is from its threshold, in grey levels.

    The median over the 63 frequencies, as the root mean square of the wave that it stands for. Where it is small,
    bits are decided by noise or by rounding: 0 for a constant picture, and nearly so for one plain gradient or for
    one that is its own mirror image.
    """
    frequencies = _frequencies(smalls)
    return _margin(frequencies, _thresholds(frequencies))


def _frequencies(smalls: Small) -> NDArray[np.float64]:
    """(n, 8, 8) the low frequencies of the orthonormal DCT-II, by y and x; rounded, so that 0 is 0 everywhere."""
    waves = np.cos(np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(LOW)[:, None]) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    across = (smalls.reshape(-1, SIDE).astype(np.float64) @ waves.T).reshape(-1, SIDE, LOW)
    both = (across.transpose(0, 2, 1).reshape(-1, SIDE) @ waves.T).reshape(-1, LOW, LOW)  # by x, then y
    found: NDArray[np.float64] = np.round(both.transpose(0, 2, 1), 6)
    return found


def _thresholds(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 1, 8) what the frequencies of each column are compared with: their median if even, 0 if odd."""
    even = frequencies[:, :, ::2].reshape(-1, LOW * LOW // 2)[:, 1:]
    thresholds = np.zeros((len(frequencies), 1, LOW))
    thresholds[:, :, ::2] = _middle(even)[:, None, None]
    return thresholds


def _margin(frequencies: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = np.abs(frequencies - thresholds).reshape(-1, LOW * LOW)[:, 1:]
    margin: NDArray[np.float64] = _middle(distances) / SIDE
    return margin


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the medians of odd numbers of values (n, 2 k + 1); `np.median` takes several times as long for so few."""
    place = values.shape[1] // 2
    middle: NDArray[np.float64] = np.partition(values, place, axis=1)[:, place]
    return middle


def _drafted(data: bytes) -> Small:
    """A JPEG, decoded no larger than needed; what is unusual about one is left to the full decoder."""
    from PIL import Image, ImageOps

    if (fast := simplejpeg()) is not None and (small := _fast(data, fast)) is not None:
        return small
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.mode in ("L", "RGB") and image.width * image.height <= images.MAX_PIXELS:
                image.draft("L", (2 * SIDE, 2 * SIDE))
                return _small(ImageOps.exif_transpose(image) if "exif" in image.info else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass  # the full decoder finds the same, and knows how to say it
    return _small(images.decode(data))


def _fast(data: bytes, decoder: Any) -> Small | None:
    """The same by simplejpeg, whose pixels are Pillow's; None where it or the file is not that plain."""
    if _may_be_turned(data):
        return None
    try:
        height, width, colours, _ = decoder.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray") or width * height > images.MAX_PIXELS:
            return None
        factor = next((f for f in (8, 4, 2) if min(width, height) // f >= 2 * SIDE), 1)
        size = {"min_height": -(-height // factor), "min_width": -(-width // factor)}
        grey = decoder.decode_jpeg(data, "GRAY", **size)
    except ValueError:
        return None
    return np.asarray(grey[:, :, 0], dtype=np.uint8)


def _may_be_turned(data: bytes) -> bool:
    """Whether there is Exif data, or anything that is odd, among the segments before the pixels of a JPEG."""
    place = 2
    while data[place : place + 1] == b"\xff":
        marker = data[place + 1 : place + 2]
        if marker == b"\xda":
            return False
        if data[place + 4 : place + 9] == b"Exif\0":
            return True
        place += 1 if marker == b"\xff" else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True


def _small(image: Image.Image) -> Small:
    """(32, 32) any picture, grey."""
    grey = np.asarray(image if image.mode == "L" else image.convert("L"), dtype=np.uint8)
    found: Small = _shrunk(grey[None])[0]
    return found


def _resized(grey: Small, size: tuple[int, int]) -> Small:
    """(h, w) a grey picture made `size`, which is (w, h)."""
    from PIL import Image

    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)


def _batches(data: Iterable[Any]) -> Iterator[list[Any]]:
    items = iter(data)
    while batch := list(islice(items, _BATCH)):
        yield batch
