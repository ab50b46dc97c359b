"""Pairs of near hashes by sorting keys that a near pair cannot all escape: exact, and the time grows with n log n.

Looking up bands (`pairs`) asks for every hash once for each way to differ in a band; where there are so many hashes
that a band has few bits for them, strangers fill its values and the candidates grow with the square. Here a table is
one sort of keys of 28 bits and more, and nothing is looked up (Pagh, 2016, *Locality-sensitive Hashing without False
Negatives*). Bit i has a vector m(i) of `distance + 1` bits, and the table of v > 0 keeps the bits for which <m(i), v>
is odd. The vectors of the bits in which a near pair differs span less than the whole space, so some v is orthogonal to
all of them, and the keys of that table are equal. No seed, no chance: nothing is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.hashes import Hashes

Pairs = NDArray[np.int64]
Distances = NDArray[np.uint8]

WIDEST = 9
"""The most bits for which there are vectors: then it takes 1,023 tables."""
_PIECE = 1 << 17  # keys made or compared at a time, so that they stay in the cache
_BLOCK = 1 << 21  # pairs told at a time
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@cache
def masks_of(distance: int) -> tuple[int, ...]:
    """The bits that the key of each table has, 2^(distance + 1) - 1 tables; ValueError beyond `WIDEST`."""
    if distance > WIDEST:
        raise ValueError(f"there are tables for distances up to {WIDEST}, not for {distance}")
    vectors = [_vector(bit) for bit in range(64)]
    tables = range(1, 1 << (distance + 1))
    return tuple(sum((v & vector).bit_count() % 2 << bit for bit, vector in enumerate(vectors)) for v in tables)


def _vector(bit: int) -> int:
    """The vector of a bit, of which a table uses the first entries: x, y, x times y in the field of 8, and 1.

    x and y are the lower and the upper three digits of the bit's number. The functions <m(i), v> of i are linear, or
    quadratic and bent, so that every key has 28, 32 or 36 bits (and all 64 for one of 1,023 tables).
    """
    x, y = bit & 7, bit >> 3
    return x | y << 3 | _product(x, y) << 6 | 1 << 9


def _product(x: int, y: int) -> int:
    """The product in the field of 8 elements, polynomials modulo t^3 + t + 1."""
    found = 0
    for digit in range(3):
        found ^= (x << digit) * (y >> digit & 1)
    for digit in (4, 3):
        found ^= (0b1011 << (digit - 3)) * (found >> digit & 1)
    return found


class Tables:
    """Finds near ones among values (n,), different within a side. `turns` is what one of a pair may be turned by.

    `left`: how many values are of the left side, when pairs of one of each side are wanted; None for all pairs. Beside
    the values 8 bytes each are held, and a block of pairs.
    """

    def __init__(self, values: Hashes, distance: int, turns: tuple[int, ...], left: int | None = None) -> None:
        self._values, self._distance, self._left = values, distance, left
        self._turns = np.array(turns, dtype=np.uint64)
        self._place_bits = max(1, (len(values) - 1).bit_length())
        self._masks = np.array(masks_of(distance), dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._masks)

    def pairs(self, table: int) -> Iterator[tuple[Pairs, Distances]]:
        """(p, 2) places i < j of near values and (p,) distances, a block at a time, that no table before has told."""
        held, count = list[Pairs](), 0
        for pairs in self._alike(self._sorted_keys(table)):
            held.append(self._near(pairs, table))
            count += len(held[-1])
            if count >= _BLOCK:
                yield self._new(np.concatenate(held), table)
                held, count = [], 0
        if count:
            yield self._new(np.concatenate(held), table)

    def _sorted_keys(self, table: int) -> Hashes:
        """(n,) rising: the keys, mixed into the upper bits, and the places of their values in the lower ones.

        A key is the smallest of those that the value has when it is turned. Different keys may come out equal by
        chance: their pairs are compared, as all are.
        """
        values, mask, place = self._values, self._masks[table], np.uint64((1 << self._place_bits) - 1)
        keys = np.empty(len(values), dtype=np.uint64)
        for start in range(0, len(values), _PIECE):
            kept = values[start : start + _PIECE] & mask
            key = np.minimum.reduce([kept ^ (turn & mask) for turn in self._turns]) * _FACTOR
            key &= ~place
            key |= np.arange(start, start + len(key), dtype=np.uint64)
            keys[start : start + _PIECE] = key
        keys.sort()
        return keys

    def _alike(self, keys: Hashes) -> Iterator[Pairs]:
        """(p, 2) places of values whose keys are equal, a block at a time: neighbours first, then those at two, …"""
        shift, place = np.uint64(self._place_bits), np.uint64((1 << self._place_bits) - 1)
        for start in range(0, len(keys) - 1, _PIECE):
            part = keys[start : start + _PIECE + 1] >> shift
            at, step = np.flatnonzero(part[1:] == part[:-1]) + start, 1
            while len(at):
                yield np.stack([keys[at] & place, keys[at + step] & place], axis=1).astype(np.int64)
                step += 1
                at = at[at + step < len(keys)]
                at = at[keys[at + step] >> shift == keys[at] >> shift]

    def _near(self, pairs: Pairs, table: int) -> Pairs:
        """Those of `pairs` (p, 2) that are near, of both sides if there are two, and whose keys are equal for sure."""
        if self._left is not None:
            pairs = pairs[(pairs[:, 0] < self._left) & (pairs[:, 1] >= self._left)]
        gaps = self._gaps(pairs)
        near = (np.bitwise_count(gaps) <= self._distance).any(axis=0)
        return pairs[near & self._met(gaps, table)]

    def _new(self, pairs: Pairs, table: int) -> tuple[Pairs, Distances]:
        """Those of near `pairs` (p, 2) that have met in no table before, and their distances."""
        gaps = self._gaps(pairs)
        for earlier in range(table):
            new = np.flatnonzero(~self._met(gaps, earlier))
            if not len(new):
                return pairs[:0], np.empty(0, dtype=np.uint8)
            if len(new) < len(pairs):
                pairs, gaps = pairs[new], gaps[:, new]
        return pairs, np.bitwise_count(gaps).min(axis=0)

    def _gaps(self, pairs: Pairs) -> Hashes:
        """(t, p) the bits in which the values of `pairs` (p, 2) differ, after each of the turns."""
        gaps: Hashes = (self._values[pairs[:, 0]] ^ self._values[pairs[:, 1]]) ^ self._turns[:, None]
        return gaps

    def _met(self, gaps: Hashes, table: int) -> NDArray[np.bool_]:
        """(p,) which pairs with `gaps` (t, p) have the same key in a table."""
        met: NDArray[np.bool_] = ((gaps & self._masks[table]) == 0).any(axis=0)
        return met
