"""Perceptual hashes: 64 bits that hardly change when an image is encoded again, resized or lightly edited."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge import images
from augforge.models.sight import simplejpeg

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
    return _hashes(_stacked(_small(picture) for picture in opened))


def hash_bytes(data: bytes) -> int:
    """The hash of one encoded image, upright; JPEGs are decoded at a fraction of their size. BadImage as `images`."""
    return int(_hashes(_reduced(data)[None])[0])


def hash_many(data: Iterable[bytes], threads: int | None = None) -> Hashes:
    """(n,) hashes of encoded images, decoded in threads (a few more than CPUs); holds 1024 of them at a time."""
    found = [np.empty(0, dtype=np.uint64)]
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[list[Small]]] = []
        for batch in _batches(data):
            before = waiting
            waiting = [pool.submit(_reduced_all, batch[i : i + _TASK]) for i in range(0, len(batch), _TASK)]
            found.append(_hashes(_stacked(small for future in before for small in future.result())))
        found.append(_hashes(_stacked(small for future in waiting for small in future.result())))
    return np.concatenate(found)


def _reduced_all(batch: Sequence[bytes]) -> list[Small]:
    return [_reduced(data) for data in batch]


def shrunk(data: bytes) -> Small:
    """(32, 32) one encoded image, grey, upright: all that its hash depends on. BadImage as `images`."""
    return _reduced(data)


def hashes_of(smalls: Small) -> Hashes:
    """(n,) the hashes of images that were `shrunk`, (n, 32, 32)."""
    return _hashes(smalls)


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


def _hashes(smalls: Small) -> Hashes:
    """(n,) the hashes of grey pictures (n, 32, 32)."""
    frequencies = _frequencies(smalls)
    thresholds = _thresholds(frequencies)
    bits = frequencies >= thresholds
    bits[:, 0, 0] = True
    packed = np.packbits(bits.reshape(-1, LOW * LOW), axis=1).view(">u8")[:, 0].astype(np.uint64)
    packed[_margin(frequencies, thresholds) < LEAST_STRUCTURE] = NO_STRUCTURE
    return packed


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


def _reduced(data: bytes) -> Small:
    """(32, 32) an encoded image, grey, upright."""
    return _drafted(data) if data.startswith(_JPEG) else _small(images.decode(data))


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
    from PIL import Image

    if b"Exif\0" in data:  # it may be turned
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
    return _small(Image.frombuffer("L", grey.shape[1::-1], grey, "raw", "L", 0, 1))


def _small(image: Image.Image) -> Small:
    from PIL.Image import Resampling

    grey = image if image.mode == "L" else image.convert("L")
    return np.frombuffer(grey.resize((SIDE, SIDE), Resampling.BILINEAR).tobytes(), np.uint8).reshape(SIDE, SIDE)


def _stacked(smalls: Iterable[Small]) -> Small:
    return np.array(list(smalls), dtype=np.uint8).reshape(-1, SIDE, SIDE)


def _batches(data: Iterable[Any]) -> Iterator[list[Any]]:
    items = iter(data)
    while batch := list(islice(items, _BATCH)):
        yield batch
