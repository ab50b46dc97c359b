"""Who is compared when duplicates are looked for, and what is evidence that two of them are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.algorithms.duplicates.closer import DIFFERENT
from augforge.algorithms.duplicates.crops import SLIGHTLY, overlap
from augforge.algorithms.duplicates.evidence import Rows, row_type
from augforge.algorithms.duplicates.hashes import (
    NO_STRUCTURE,
    SIDE,
    Hashes,
    Small,
    hashes_of,
    mirrored,
    reduced,
    shrunk,
)
from augforge.algorithms.duplicates.pairs import Pairs
from augforge.data.key_index import PIECE
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.data.texts import Bytes, hashes_of_texts, order_of
from augforge.engine.pixels import Pixels
from augforge.engine.rows import Encoded, Look
from augforge.engine.runners.comparisons import Comparisons
from augforge.engine.runners.overlaps import plain_ones, smalls_of
from augforge.stages.filters.duplicates import Duplicates

SURE = 7
"""Hashes that differ in no more bits than this are near, unless a picture is plain: then they are looked at closer."""
LOOKS = pa.schema(
    [("digest", pa.string()), ("hash", pa.uint64()), ("small", pa.binary(SIDE * SIDE)), ("bytes", pa.int64())]
)


def look_parts(store: Store) -> Parts:
    """Where hashes, small grey pictures and the sizes of the files lie, by digest: about 1.1 kB an image."""
    return store.parts("look-2", LOOKS, by="digest")


@dataclass(frozen=True)
class Hashing(Look):
    """Hashes and shrinks images."""

    title: str = "hash"

    def see(self, image: Encoded) -> tuple[Small, int]:
        """As `Look.see`: what is hashed, and the size of the file."""
        return reduced(image.data), len(image.data)

    def rows_of(self, seen: Mapping[str, tuple[Small, int]]) -> list[dict[str, Any]]:
        """As `Look.rows_of`: rows of `LOOKS`."""
        smalls = shrunk([grey for grey, _ in seen.values()])
        rows = zip(seen.items(), hashes_of(smalls).tolist(), smalls, strict=True)
        return [
            {"digest": digest, "hash": bits, "small": small.tobytes(), "bytes": size}
            for (digest, (_, size)), bits, small in rows
        ]


@dataclass(frozen=True, slots=True)
class References:
    """The images of `against`: a ledger of their own, of which `indices` can be used."""

    ledger: Ledger
    indices: Indices
    pixels: Pixels
    drop: Any


class Candidates:
    """All that are compared: the n kept samples, then the references. `fixed` ones stay whatever they are near to."""

    def __init__(
        self, stage: Duplicates, ledger: Ledger, others: References, parts: Parts, comparisons: Comparisons
    ) -> None:
        self.stage, self.ledger, self.others, self._parts, self._comparisons = stage, ledger, others, parts, comparisons
        self.indices = ledger.visible()
        self.n, self.size = len(self.indices), len(self.indices) + len(others.indices)
        self.distance = stage.reach(self.size)
        self.labels = np.append(ledger.class_index(self.indices), np.full(self.size - self.n, -1)).astype(np.int32)
        self.reference = np.arange(self.size) >= self.n
        self.fixed = self.reference.copy()
        if stage.on != "all":
            self.fixed[: self.n] = ~ledger.coded("origin").equal(stage.on, self.indices)
        self.evaluation = np.append(ledger.in_evaluation(self.indices), np.zeros(self.size - self.n, dtype=bool))
        self.hashes = self._found()

    def _found(self) -> Hashes:
        """(size,) the hashes; `NO_STRUCTURE` where only bytes are compared."""
        found = np.full(self.size, NO_STRUCTURE, dtype=np.uint64)
        if self.stage.by != "exact" and self.size:
            self._read("hash", self.ledger, self.indices, found[: self.n])
            self._read("hash", self.others.ledger, self.others.indices, found[self.n :])
        return found

    def _read(self, name: str, ledger: Ledger, indices: Indices, found: NDArray[Any]) -> None:
        """Write a number that was stored of each of the samples at `indices` (m,) into `found` (m,)."""
        for start in range(0, len(indices), PIECE):
            digests = ledger.texts("digest", indices[start : start + PIECE])
            found[start : start + PIECE] = self._parts.numbers(digests, name)

    @cached_property
    def codes(self) -> Rows:
        """(size,) a number for each row that copies share; numbers of copies are in the order of their digests.

        What may have a copy has a number below `size`, and what has none a number from there on.
        """
        alike = self._perhaps_copied()
        codes: Rows = np.arange(self.size, 2 * self.size, dtype=row_type(2 * self.size))
        codes[alike] = np.unique(self.texts("digest", alike), return_inverse=True)[1]
        return codes

    def _perhaps_copied(self) -> NDArray[np.int64]:
        """The rows whose digest has the same hash as another one's."""
        hashes = np.empty(self.size, dtype=np.uint64)
        for start, part in zip(range(0, self.size, PIECE), self._digests(), strict=False):
            hashes[start : start + PIECE] = hashes_of_texts(part)
        ordered = np.sort(hashes)
        again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        del ordered
        return np.flatnonzero(among(hashes, again)) if len(again) else np.zeros(0, dtype=np.int64)

    def _digests(self) -> Iterator[Bytes]:
        """The digests of all rows, a piece at a time."""
        for start in range(0, max(self.size, 1), PIECE):
            yield self.texts("digest", np.arange(start, min(start + PIECE, self.size)))

    def texts(self, name: str, rows: Rows) -> Bytes:
        """(p,) the digests or ids of rows (p,)."""
        mine = rows < self.n
        own = self.ledger.texts(name, self.indices[rows[mine]])
        theirs = self.others.ledger.texts(name, self.others.indices[rows[~mine] - self.n])
        if mine.all():
            return own
        found = np.zeros(len(rows), dtype=max(own.dtype, theirs.dtype, key=lambda kind: kind.itemsize))
        found[mine], found[~mine] = own, theirs
        return found

    def names(self, rows: Rows) -> dict[int, str]:
        """What reasons call rows (p,): the start of the id, or the file of a reference."""
        own, others = (np.unique(rows[inside]) for inside in (rows < self.n, rows >= self.n))
        ids = [identity.decode()[:8] for identity in self.texts("id", own).tolist()]
        files = map(str, self.others.ledger.column("source", self.others.indices[others - self.n]))
        return dict(zip([*own.tolist(), *others.tolist()], [*ids, *files], strict=True))

    def id_of(self, row: int) -> str:
        """The id of a row."""
        return str(self.texts("id", np.array([row]))[0].decode())

    def label(self, row: int) -> str:
        """The class of a row that has one."""
        return str(self.ledger.classes[self.labels[row]])

    def in_conflict(self, left: Rows | int, right: Rows | int) -> NDArray[np.bool_]:
        """(p,) which rows (p,) and (p,) have labels, and different ones."""
        one, two = self.labels[left], self.labels[right]
        return np.asarray((one >= 0) & (two >= 0) & (one != two))

    def hash_of(self, digests: Sequence[str]) -> Hashes:
        """(p,) the hashes of `digests` (p,), all of which were looked at."""
        if not len(digests):
            return np.zeros(0, dtype=np.uint64)
        found: Hashes = self._parts.take(digests, ["hash"]).column("hash").to_numpy()
        return found

    def looked_at(self, digests: Sequence[str]) -> NDArray[np.bool_]:
        """(p,) which of `digests` (p,) have a hash."""
        found: NDArray[np.bool_] = self._parts.find(digests) >= 0
        return found

    def smalls(self, digests: Sequence[str]) -> Small:
        """(p, 32, 32) the small pictures of `digests` (p,)."""
        return smalls_of(self._parts, digests)

    @cached_property
    def synthetic(self) -> NDArray[np.bool_]:
        """(size,) who was generated; references count as real."""
        made = self.ledger.coded("origin").equal("synthetic", self.indices)
        return np.append(made, np.zeros(self.size - self.n, dtype=bool))

    @cached_property
    def pixels(self) -> NDArray[np.unsignedinteger[Any]]:
        """(size,) width times height; 0 for references, which stay anyway."""
        found = np.zeros(self.size, dtype=np.int64)
        for start in range(0, self.n, PIECE):
            part = self.indices[start : min(start + PIECE, self.n)]
            width, height = (self.ledger.numbers(name, part) for name in ("width", "height"))
            found[start : start + len(part)] = width * height
        return _narrowed(found)

    @cached_property
    def bytes(self) -> NDArray[np.unsignedinteger[Any]]:
        """(size,) the sizes of the files; 0 for references, and where only equal files are compared."""
        sizes = np.zeros(self.size, dtype=np.int64)
        if self.stage.by != "exact" and self.n:
            self._read("bytes", self.ledger, self.indices, sizes[: self.n])
        return _narrowed(sizes)

    def advantage(self, row: int, other: int) -> str:
        """In which way `other`, which stays, is the better one of two near ones: the first that `rank` looks at."""
        if self.fixed[other] and not self.fixed[row]:
            return "which is spared by `on`"
        if self.synthetic[row] != self.synthetic[other]:
            return "which is real"
        if self.pixels[row] != self.pixels[other]:
            return "which has more pixels"
        return "which is less compressed" if self.bytes[row] != self.bytes[other] else "which has the lower id"

    @cached_property
    def rank(self) -> Rows:
        """(size,) who stays of two: references, evaluation, real, more pixels, less compressed, the lowest id."""
        order = np.empty_like(self.place_of_id)
        order[self.place_of_id] = np.arange(self.size)
        kinds = np.uint8(4) * ~self.reference + np.uint8(2) * ~self.evaluation + self.synthetic
        more = (~self.bytes[order], ~self.pixels[order], kinds[order])
        rank = np.empty(self.size, dtype=row_type(self.size))
        rank[order[np.lexsort(more)]] = np.arange(self.size)
        return rank

    @cached_property
    def place_of_id(self) -> Rows:
        """(size,) where the id of each row is in the order of ids."""
        place = np.empty(self.size, dtype=row_type(self.size))
        place[order_of(self.texts("id", np.arange(self.size)))] = np.arange(self.size)
        return place

    @cached_property
    def families(self) -> NDArray[np.int64]:
        """(p,) sorted numbers of the pairs (i, j), i < j, of a child and its parent: i * size + j."""
        children, ids = self.ledger.lists("parents", self.indices)
        places = self.ledger.find(ids)
        parents = np.searchsorted(self.indices, places)
        there = np.isin(places, self.indices)
        pairs = np.stack([children, parents], axis=1).astype(np.int64)[there]
        return np.sort(_numbers(pairs, self.size))

    def comparable(self, pairs: Pairs) -> NDArray[np.bool_]:
        """(p,) which pairs (p, 2) may be evidence, if they are near."""
        left, right = pairs.T
        outside = self.reference[left] | self.reference[right]
        good = ~(self.fixed[left] & self.fixed[right]) & ~(self.evaluation[left] & self.evaluation[right])
        if self.stage.within == "class":
            good &= outside | (self.labels[left] == self.labels[right])
        if len(self.families):
            good &= ~among(_numbers(pairs, self.size), self.families)
        return np.asarray(good)

    def apart(self, left: Hashes, right: Hashes) -> NDArray[np.int64]:
        """(p,) in how many bits hashes (p,) and (p,) differ, mirrored or not; 65 where one has no structure."""
        bits = np.bitwise_count(left ^ right)
        if self.stage.flips:
            bits = np.minimum(bits, np.bitwise_count(mirrored(left) ^ right))
        known = (left != NO_STRUCTURE) & (right != NO_STRUCTURE)
        return np.where(known, bits, 65).astype(np.int64)

    def fit(self, left: Sequence[str], right: Sequence[str], smallest: int) -> NDArray[np.float64]:
        """(p,) how well the pictures of digests (p,) and (p,) overlap."""
        return overlap(self.smalls(left), self.smalls(right), flips=self.stage.flips, smallest=smallest)

    def confirmed(
        self, left: Sequence[str], right: Sequence[str], bits: NDArray[Any], smallest: int = SLIGHTLY
    ) -> NDArray[np.bool_]:
        """(p,) which pictures of digests (p,) and (p,) are near for sure, their hashes `bits` apart, or fit.

        Where one of two is plain, its hash says little, and both have to look the same in colour.
        """
        good: NDArray[np.bool_] = bits <= min(SURE, self.distance)
        unsure = np.flatnonzero(~good)
        some, others = ([side[place] for place in unsure.tolist()] for side in (left, right))
        good[unsure] = self._comparisons.overlapping(some, others, self.stage.overlap, smallest)
        near = np.flatnonzero(good & (np.array(left) != np.array(right)))
        some, others = ([side[place] for place in near.tolist()] for side in (left, right))
        good[near] = self._alike(some, others, smallest)
        return good

    def _alike(self, left: Sequence[str], right: Sequence[str], smallest: int) -> NDArray[np.bool_]:
        """(p,) False where one of two pictures of digests (p,) and (p,) is plain and a closer look tells them apart."""
        doubtful = np.flatnonzero(plain_ones(self._parts, left) | plain_ones(self._parts, right))
        one, two = ([side[place] for place in doubtful.tolist()] for side in (left, right))
        alike = np.ones(len(left), dtype=bool)
        alike[doubtful] = self._comparisons.differences(one, two, smallest) <= DIFFERENT
        return alike

    def digests_of(self, rows: Rows) -> list[str]:
        """(p,) the digests of rows (p,)."""
        return [digest.decode() for digest in self.texts("digest", rows).tolist()]


def _narrowed(numbers: NDArray[np.int64]) -> NDArray[np.unsignedinteger[Any]]:
    """(n,) numbers from 0 on, in the fewest bytes that hold all of them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def among(values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) which of `values` (n,) are among `known` (k,), which rise and are some. `np.isin` would sort them again."""
    found = np.empty(len(values), dtype=bool)
    for start in range(0, len(values), PIECE):
        part = values[start : start + PIECE]
        at = np.minimum(np.searchsorted(known, part), len(known) - 1)
        found[start : start + PIECE] = known[at] == part
    return found


def _numbers(pairs: Pairs, size: int) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = pairs.min(axis=1, initial=size) * size + pairs.max(axis=1, initial=0)
    return numbers
