"""Whether pictures overlap, by the small grey ones that are stored of them: work in blocks of many pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.algorithms.duplicates.closer import plain
from augforge.algorithms.duplicates.hashes import SIDE, Small
from augforge.algorithms.duplicates.overlapping import overlapping
from augforge.algorithms.duplicates.pairs import Pairs
from augforge.data.ids import key
from augforge.data.key_index import Keys
from augforge.data.parts import Parts
from augforge.data.texts import Bytes
from augforge.engine.pixels import Pixels
from augforge.engine.work import Made, Maker, Refused, Work
from augforge.progress import Progress

FITS = pa.schema([("block", pa.string()), ("fits", pa.binary())])
BLOCK = 1024
"""Pairs of a block; fewer are not worth the way to another process."""
PIECES = 4096
LOOKS = "looks"
"""What the parts with the small pictures are called among those that a work reads."""


def smalls_of(parts: Parts, digests: Keys) -> Small:
    """(p, 32, 32) the small grey pictures of `digests` (p,), all of which were looked at."""
    if not len(digests):
        return np.zeros((0, SIDE, SIDE), dtype=np.uint8)
    column = parts.take(digests, ["small"]).column("small").to_pylist()
    return np.frombuffer(b"".join(column), dtype=np.uint8).reshape(-1, SIDE, SIDE)


def plain_ones(parts: Parts, digests: Keys) -> NDArray[np.bool_]:
    """(p,) which pictures of `digests` (p,) are plain; the small ones of a few of them are in memory at a time."""
    different, which = np.unique(np.asarray(digests, "S"), return_inverse=True)
    some = (different[start : start + PIECES] for start in range(0, len(different), PIECES))
    return np.concatenate([np.zeros(0, dtype=bool), *(plain(smalls_of(parts, each)) for each in some)])[which]


@dataclass(frozen=True)
class Block:
    """Pairs (p, 2) of the pictures of some digests; `name` says which, and what is asked of them."""

    name: str
    digests: tuple[str, ...]
    pairs: Pairs


@dataclass(frozen=True)
class Overlapping(Work[Block]):
    """Tells which pairs overlap at least by `least`, as `augforge.algorithms.duplicates.overlapping`."""

    least: float
    flips: bool
    smallest: int
    title: str = "compare"
    per_batch: int = 1
    per_unit: int = 2

    def blocks(self, digests: Bytes, pairs: Pairs) -> Iterator[Block]:
        """Pairs (p, 2) of the pictures of `digests` (n,), cut into blocks."""
        for start in range(0, len(pairs), BLOCK):
            places, inside = np.unique(pairs[start : start + BLOCK], return_inverse=True)
            names = [digest.decode() for digest in digests[places].tolist()]
            inside = inside.reshape(-1, 2)
            name = key(names, inside.tolist(), self.least, self.flips, self.smallest)
            yield Block(name, tuple(names), inside)

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Comparing(self, pixels.generated[LOOKS])

    def lost(self, items: Sequence[Block], why: str) -> Made:
        """As `Work.lost`: they are no evidence."""
        return Made([], refused=Refused(unjudged={block.name: why for block in items}))

    def name_of(self, item: Block) -> str:
        """As `Work.name_of`."""
        return item.name

    def count(self, items: Sequence[Block]) -> int:
        """As `Work.count`: the pairs."""
        return sum(len(block.pairs) for block in items)


class _Comparing(Maker):
    def __init__(self, work: Overlapping, looks: Parts) -> None:
        self._work, self._looks = work, looks

    def load(self, batch: Sequence[Block]) -> Made:
        return Made([{"block": block.name, "fits": np.packbits(self._fits(block)).tobytes()} for block in batch])

    def _fits(self, block: Block) -> NDArray[np.bool_]:
        work, smalls = self._work, smalls_of(self._looks, block.digests)
        return overlapping(smalls, block.pairs, work.least, flips=work.flips, smallest=work.smallest)

    def rows(self, made: Made) -> Made:
        return made
