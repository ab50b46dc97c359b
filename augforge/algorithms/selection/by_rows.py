"""Points that need not be in memory: they are read, and placed, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.lists import content_keys
from augforge.algorithms.selection.points import Likeness, Points, Similarity, directions, likeness_of
from augforge.algorithms.selection.selection import Floats, Indices

Keys = NDArray[np.uint64]

BLOCK_ROWS = 16_384
"""Rows that are read at a time where all of them are gone through."""


@runtime_checkable
class RowReader(Protocol):
    """A matrix (n, d) that is read by rows. What is to be sent to other processes must be small when pickled."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows there are, and of how many numbers."""

    def read(self, rows: Indices) -> NDArray[Any]:
        """(m, d) copies of `rows` (m,), in this order."""


@dataclass(frozen=True, slots=True)
class ArrayRows:
    """The rows of a matrix (n, d) in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the matrix."""
        n, d = self.array.shape
        return n, d

    def read(self, rows: Indices) -> NDArray[Any]:
        """(m, d) copies of `rows` (m,)."""
        found: NDArray[Any] = self.array[rows]
        return found


def reader_of(features: NDArray[Any] | RowReader) -> RowReader:
    """What reads a matrix (n, d), in memory or not."""
    return features if isinstance(features, RowReader) else ArrayRows(features)


@dataclass(frozen=True, slots=True)
class RowsAt:
    """The rows of a reader that are at `places` (n,), in this order."""

    reader: RowReader
    places: Indices

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows there are, and of how many numbers."""
        return len(self.places), self.reader.shape[1]

    def read(self, rows: Indices) -> NDArray[Any]:
        """(m, d) copies of `rows` (m,)."""
        return self.reader.read(self.places[rows])

    def at(self, rows: Indices) -> RowsAt:
        """Some of the rows (m,), in this order."""
        return RowsAt(self.reader, self.places[rows])


@dataclass(frozen=True, slots=True)
class Placement:
    """How the features of a class become points, as `placed` does it, for any few of its rows.

    Attributes:
        similarity: cosine rows get length 1; the others are centred and scaled into the ball of diameter 1.
        zeros: cosine: some row of the class has no direction, so that points have one axis more.
        mean: (d,) what the others are centred by.
        diameter: the length that becomes 1.
    """

    similarity: Similarity
    zeros: bool
    mean: Floats
    diameter: float

    def of(self, features: NDArray[Any]) -> Points:
        """Features (m, d) as points (m, d), or (m, d + 1)."""
        if self.similarity == "cosine":
            points, zero = directions(features)
            return np.hstack([points, zero[:, None].astype(np.float32)]) if self.zeros else points
        return np.ascontiguousarray((features - self.mean) / self.diameter, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Reading:
    """What turns row numbers of a reader into points, in this process or in another."""

    reader: RowReader
    placement: Placement
    likeness: Likeness

    def points(self, rows: Indices) -> Points:
        """(m, d) the points of `rows` (m,), in this order."""
        return self.placement.of(self.reader.read(rows))


@dataclass(frozen=True, slots=True)
class Pool:
    """The n points of a class.

    Attributes:
        reading: reads them.
        rows: (n,) where in the reader each of them is.
        keys: (n,) a hash of each one's id: what divides and samples them, whatever their order.
    """

    reading: Reading
    rows: Indices
    keys: Keys

    def __len__(self) -> int:
        return len(self.rows)

    def points(self, members: Indices) -> Points:
        """(m, d) the points of `members` (m,), which count within the class."""
        return self.reading.points(self.rows[members])

    def blocks(self) -> Iterator[Indices]:
        """The members (m,), a block at a time, in the order in which they lie."""
        return blocks_of(np.arange(len(self), dtype=np.int64))

    def first(self, count: int, salt: int) -> Indices:
        """(count,) members as good as random: those with the smallest salted keys, in their order."""
        mixed = salted(self.keys, salt)
        count = min(count, len(self))
        some = np.argpartition(mixed, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        return some[np.lexsort((self.keys[some], mixed[some]))].astype(np.int64)


def pool_of(reader: RowReader, rows: Indices, similarity: Similarity, width: float, keys: Keys | None) -> Pool:
    """The pool of `rows` (n,) of a reader, all of which are looked at once or twice.

    Args:
        width: of the exponential similarity.
        keys: (n,) of `rows`; None for a hash of what each row says.

    Raises:
        ValueError: a row that is not finite, by its number.
    """
    if isinstance(reader, RowsAt):  # what is sent to other processes shall not hold all places
        return pool_of(reader.reader, reader.places[rows], similarity, width, keys)
    d = reader.shape[1]
    placement = _placement_of(reader, rows, similarity)
    likeness = likeness_of(similarity, placement.diameter, width)
    if keys is None:
        keys = np.empty(len(rows), dtype=np.uint64)
        for block in blocks_of(np.arange(len(rows), dtype=np.int64)):
            keys[block] = content_keys(reader.read(rows[block]).astype(np.float32).reshape(len(block), d))
    return Pool(Reading(reader, placement, likeness), rows, keys)


def salted(keys: Keys, salt: int) -> Keys:
    """(n,) other keys, as good as independent of `keys` (n,) (the finaliser of SplitMix64)."""
    mixed: Keys = keys + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def blocks_of(rows: Indices) -> Iterator[Indices]:
    """`rows` (n,), a block at a time."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]


def _placement_of(reader: RowReader, rows: Indices, similarity: Similarity) -> Placement:
    total, zeros = np.zeros(reader.shape[1]), False
    for block in blocks_of(rows):
        features = reader.read(block)
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise ValueError(f"features: row {block[int(finite.argmin())]} is not finite")
        zeros = zeros or bool((features == 0).all(axis=1).any())
        total += features.sum(axis=0, dtype=np.float64)
    mean = total / max(1, len(rows))
    if similarity == "cosine":
        return Placement(similarity, zeros, mean, 1.0)
    largest = 0.0
    for block in blocks_of(rows):
        centred = reader.read(block) - mean
        largest = max(largest, float(np.einsum("ij,ij->i", centred, centred).max(initial=0.0)))
    return Placement(similarity, False, mean, 2 * float(np.sqrt(largest)) or 1.0)
