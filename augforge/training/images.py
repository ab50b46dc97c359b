"""The images that a training draws from: decoded when they are first asked for, and kept while they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.sample import Sample

Pixels = NDArray[np.uint8]
CACHE_BYTES = 2 << 30


class TrainingImages:
    """Samples with their pixels. May be asked from several threads at once.

    Args:
        samples: the samples, in an order that does not depend on where they came from.
        read: the encoded bytes of a sample's image; `read_mask` those of its mask.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        read: Callable[[Sample], bytes],
        read_mask: Callable[[Sample], bytes] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.samples = list(samples)
        self._read, self._read_mask = read, read_mask
        self._cache: OrderedDict[tuple[int, str], Pixels] = OrderedDict()
        self._room, self._lock = cache_bytes, Lock()

    def __len__(self) -> int:
        return len(self.samples)

    def image(self, index: int) -> Pixels:
        """(h, w, 3) RGB, 0 to 255; not to be written to."""
        return self._kept((index, "image"), lambda: np.asarray(images.decode(self._read(self.samples[index]))))

    def mask(self, index: int) -> Pixels:
        """(h, w) class of every pixel, or (h, w, 3) of a mask that is a picture; not to be written to.

        ValueError where the samples have no masks.
        """
        if self._read_mask is None:
            raise ValueError("these pictures were opened without their masks")
        read = self._read_mask
        return self._kept((index, "mask"), lambda: images.decode_condition(read(self.samples[index])))

    def _kept(self, name: tuple[int, str], make: Callable[[], Pixels]) -> Pixels:
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                return self._cache[name]
        made = make()
        with self._lock:
            if name not in self._cache:
                self._cache[name] = made
                self._room -= made.nbytes
            while self._room < 0 and len(self._cache) > 1:
                _, gone = self._cache.popitem(last=False)
                self._room += gone.nbytes
        return made
