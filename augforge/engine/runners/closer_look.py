"""The closer look at plain pictures that hashes take for near: work on pairs, whose pictures are read again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import pyarrow as pa

from augforge.algorithms.duplicates.closer import View, differences, views
from augforge.algorithms.duplicates.hashes import Small
from augforge.data import images
from augforge.engine.pixels import Located, Pixels
from augforge.engine.runners.overlaps import LOOKS, smalls_of
from augforge.engine.work import Made, Maker, Refused, Work
from augforge.errors import BadImage
from augforge.progress import Progress

SEEN = pa.schema([("pair", pa.string()), ("difference", pa.float64())])
HELD = 64 << 20
"""Bytes of pictures in memory: a small one takes 3 kB, and a large one 64 kB."""


class Pair(NamedTuple):
    """Two images, the one with the lower digest first; `name` says which, and how they are looked at."""

    name: str
    left: Located
    right: Located


@dataclass(frozen=True)
class CloserLook(Work[Pair]):
    """Measures how much plain pictures differ in colour, as `augforge.algorithms.duplicates.closer`.

    A picture is read once for all pairs of a batch, and of the batches before and after as long as it is held.
    """

    flips: bool
    smallest: int
    title: str = "look closer"
    per_batch: int = 32
    per_unit: int = 128

    def name(self, left: str, right: str) -> str:
        """What is stored of the pictures of two digests is called this, in either order."""
        return f"{min(left, right)}:{max(left, right)}:{self.smallest}{':mirrored' * self.flips}"

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Looking(self, pixels)

    def lost(self, items: Sequence[Pair], why: str) -> Made:
        """As `Work.lost`: they are no evidence."""
        return Made([], refused=Refused(unjudged={pair.name: why for pair in items}))

    def name_of(self, item: Pair) -> str:
        """As `Work.name_of`."""
        return item.name


class _Views:
    """The pictures that were looked at last, by digest; for several threads."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels, self._lock = pixels, Lock()
        self._held: OrderedDict[str, View] = OrderedDict()
        self._bytes = 0

    def of(self, image: Located) -> View:
        """The views of an image, which is read unless they are held; BadImage if that cannot be."""
        with self._lock:
            if image.digest in self._held:
                self._held.move_to_end(image.digest)
                return self._held[image.digest]
        made = views(images.decode(self._pixels.bytes_of(image)))
        with self._lock:
            if image.digest not in self._held:
                self._held[image.digest] = made
                self._bytes += _size(made)
            while self._bytes > HELD:
                self._bytes -= _size(self._held.popitem(last=False)[1])
        return made


def _size(view: View) -> int:
    return sum(level.nbytes for level in view)


class _Looking(Maker):
    def __init__(self, work: CloserLook, pixels: Pixels) -> None:
        self._work, self._looks, self._views = work, pixels.generated[LOOKS], _Views(pixels)

    def load(self, batch: Sequence[Pair]) -> Made:
        """Both pictures of each pair are read; those of which one can no longer be read are no evidence."""
        pairs, seen, unjudged = [], [], {}
        for pair in batch:
            try:
                seen.append((self._views.of(pair.left), self._views.of(pair.right)))
                pairs.append(pair)
            except BadImage as error:
                unjudged[pair.name] = error.message
        left, right = ([both[side] for both in seen] for side in (0, 1))
        smalls = self._smalls([pair.left for pair in pairs]), self._smalls([pair.right for pair in pairs])
        found = differences(left, right, smalls, flips=self._work.flips, smallest=self._work.smallest)
        rows = zip(pairs, found.tolist(), strict=True)
        return Made(
            [{"pair": pair.name, "difference": value} for pair, value in rows], refused=Refused(unjudged=unjudged)
        )

    def _smalls(self, of: Sequence[Located]) -> Small:
        return smalls_of(self._looks, [image.digest for image in of])

    def rows(self, made: Made) -> Made:
        return made
