"""All pairs of 64-bit hashes that differ in few bits: exact, without comparing every two, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.covering import WIDEST, Tables
from augforge.algorithms.duplicates.distinct import NARROW_ROWS, Distinct, portions, ranges, rows_of
from augforge.algorithms.duplicates.hashes import NO_STRUCTURE, ODD, Hashes

Pairs = NDArray[np.int64]
Distances = NDArray[np.uint8]
Block = tuple[Pairs, Distances]
Tell = Callable[[float], None]

_CANDIDATES = 1 << 21  # compared at a time
_ASKED = 1 << 18  # hashes that are looked up at a time
_MASK_COST = 10_000  # what a mask costs beside look-ups and candidates, in look-ups
_CANDIDATE_COST = 3
_BAND_COST = 25  # of sorting by a band, for each hash
_TABLE_COST, _SORT_COST = 20_000, 3  # what a table costs, and for each hash, in look-ups as well
_KEY_BITS = 31  # about as many bits tell the keys of a table apart


class Band(NamedTuple):
    """Bits `shift` to `shift + bits` of the hashes, in which a pair may differ in up to `radius` bits."""

    shift: int
    bits: int
    radius: int

    def of(self, hashes: Hashes) -> NDArray[np.int64]:
        """(n,) the band's value of every hash."""
        return ((hashes >> np.uint64(self.shift)) & np.uint64((1 << self.bits) - 1)).astype(np.int64)

    def masks(self) -> list[int]:
        """Every way to differ in up to `radius` bits."""
        bits = [1 << b for b in range(self.bits)]
        return [sum(some) for r in range(self.radius + 1) for some in combinations(bits, r)]


def near_pairs(hashes: Hashes, distance: int = 10, *, flips: bool = False) -> Block:
    """(p, 2) rows i < j whose hashes differ in at most `distance` bits, sorted, and (p,) in how many.

    Args:
        hashes: (n,) uint64 perceptual hashes; `NO_STRUCTURE` is near to none.
        distance: 0 to 32 bits.
        flips: also compare each with the mirrored others; the smaller of both distances counts.

    Raises:
        ValueError: hashes that are not (n,) uint64, or a distance out of range.
    """
    return _joined(pair_blocks(hashes, distance, flips=flips))


def against(hashes: Hashes, others: Hashes, distance: int = 10, *, flips: bool = False) -> Block:
    """(p, 2) rows of `hashes` (n,) and of `others` (m,) that are near, and (p,) distances, as `near_pairs`.

    Such as the images of a test set that have a twin in a training set.
    """
    return _joined(pair_blocks(hashes, distance, others=others, flips=flips))


def pair_blocks(
    hashes: Hashes, distance: int, *, others: Hashes | None = None, flips: bool = False, tell: Tell | None = None
) -> Iterator[Block]:
    """The pairs of `near_pairs` or `against`, unsorted, a block at a time; with `flips`, some come twice.

    Found by bands or by covering tables, whichever is likely the faster for so many hashes and this distance. `tell`
    hears which share of that is done.
    """
    right = hashes if others is None else others
    _check(hashes, distance)
    _check(right, distance)
    turns = (0, ODD) if flips else (0,)
    bands = _bands(distance, len(hashes), len(right))
    count = len(hashes) + (0 if others is None else len(others))
    if distance <= WIDEST and _cost_of_tables(distance, count) < len(turns) * _cost(bands, len(hashes), len(right)):
        yield from _by_tables(hashes, others, distance, turns, tell or _unheard)
    else:
        yield from _by_bands(hashes, others, bands, distance, turns, tell or _unheard)


def _unheard(_: float) -> None:
    """Nobody wants to know how far the search is."""


def _by_tables(
    hashes: Hashes, others: Hashes | None, distance: int, turns: tuple[int, ...], tell: Tell
) -> Iterator[Block]:
    """By tables of sorted keys, over different hashes: see `covering`."""
    left = Distinct(hashes)
    right = left if others is None else Distinct(others)
    if others is None:
        yield from ((pairs, np.zeros(len(pairs), dtype=np.uint8)) for pairs in left.within(_CANDIDATES))
        tables = Tables(left.values, distance, turns)
    else:
        tables = Tables(np.concatenate([left.values, right.values]), distance, turns, left=len(left))
    for table in range(len(tables)):
        for near, bits in tables.pairs(table):
            near[:, 1] -= 0 if others is None else len(left)
            for pairs, which in rows_of(left, right, near, _CANDIDATES):
                yield (np.sort(pairs, axis=1) if others is None else pairs), bits[which]
        tell((table + 1) / len(tables))


def _by_bands(
    hashes: Hashes, others: Hashes | None, bands: list[Band], distance: int, turns: tuple[int, ...], tell: Tell
) -> Iterator[Block]:
    """By the pigeonhole principle: the 64 bits are cut into bands, and near hashes differ in one in few bits at most.

    Each band looks up every hash with each of these differences (Norouzi, Punjani and Fleet, 2012, *Fast Search in
    Hamming Space with Multi-Index Hashing*).
    """
    right = hashes if others is None else others
    total, done = len(turns) * sum(len(band.masks()) for band in bands), 0.0
    for turn in turns:
        for number, band in enumerate(bands):
            search, masks = _Search(hashes, right, band, turn, same=others is None), band.masks()
            for asked in search.portions():
                for mask in masks:
                    for pairs, gap in asked.pairs(mask, distance):
                        new = _not_in(gap, bands[:number])
                        yield pairs[new], np.bitwise_count(gap[new])
                    done += asked.share
                    tell(min(1.0, done / total))


class _Search:
    """Looks up the hashes of one side among those of the other, by one band. `turn` is what changes before that.

    Held are 12 bytes a hash (24 with two sides) and the starts of the band's values; what is looked up is computed for
    a portion of the hashes at a time.
    """

    def __init__(self, left: Hashes, right: Hashes, band: Band, turn: int, *, same: bool) -> None:
        self.band, self.same, self.turn = band, same, turn
        self.places, self.found = _by_value(right, band)
        self._rows, self._asked = (self.places, self.found) if same else _by_value(left, band)
        self.starts = np.zeros((1 << band.bits) + 1, dtype=np.int64)
        for start in range(0, len(self.found), _ASKED):
            values = band.of(self.found[start : start + _ASKED])
            self.starts[1:] += np.bincount(values, minlength=1 << band.bits)
        np.cumsum(self.starts, out=self.starts)

    def portions(self) -> Iterator[_Portion]:
        """All that ask, some at a time."""
        for start in range(0, len(self._asked), _ASKED):
            held = slice(start, start + _ASKED)
            yield _Portion(self, self._rows[held], self._asked[held], len(self._asked[held]) / len(self._asked))


class _Portion:
    """Some rows (m,) of one side that ask, their hashes (m,), and which share of all these are."""

    def __init__(self, search: _Search, rows: NDArray[np.integer], asked: Hashes, share: float) -> None:
        self._search, self._rows, self.share = search, rows, share
        self._values, self._turned = search.band.of(asked), asked ^ np.uint64(search.turn)

    def pairs(self, mask: int, distance: int) -> Iterator[tuple[Pairs, Hashes]]:
        """(p, 2) rows that are near and differ in the band by `mask`, and (p,) the bits in which they differ."""
        search, values = self._search, self._values
        band, starts = search.band, search.starts
        asking = None
        step = mask ^ ((search.turn >> band.shift) & ((1 << band.bits) - 1))
        if search.same and step:  # then one of each pair has the lowest bit of `step`: let the other one ask
            asking = np.flatnonzero(values & (step & -step) == 0)
            values = values[asking]
        wanted = values ^ step
        firsts = starts[wanted]
        counts = starts[wanted + 1] - firsts
        some = np.flatnonzero(counts)
        asking, firsts, counts = some if asking is None else asking[some], firsts[some], counts[some]
        for part in portions(counts, _CANDIDATES):
            who, where = np.repeat(asking[part], counts[part]), ranges(firsts[part], counts[part])
            gap = self._turned[who] ^ search.found[where]
            near = np.flatnonzero(np.bitwise_count(gap) <= distance)
            pairs = np.stack([self._rows[who[near]], search.places[where[near]]], axis=1).astype(np.int64)
            if search.same and step:
                pairs.sort(axis=1)
            elif search.same:
                once = pairs[:, 0] < pairs[:, 1]
                pairs, near = pairs[once], near[once]
            if len(near):
                yield pairs, gap[near]


def _by_value(hashes: Hashes, band: Band) -> tuple[NDArray[np.integer], Hashes]:
    """The rows with structure, and their hashes, by the band's value."""
    rows: NDArray[np.integer] = np.flatnonzero(hashes != NO_STRUCTURE).astype(
        np.int64 if len(hashes) > NARROW_ROWS else np.int32
    )
    order = np.argsort(band.of(hashes[rows]).astype(np.uint32), kind="stable")
    rows = rows[order]
    return rows, hashes[rows]


def _not_in(gap: Hashes, bands: list[Band]) -> NDArray[np.bool_]:
    """(p,) which differences are too large in each of `bands` for it to have found the pair before."""
    new = np.ones(len(gap), dtype=bool)
    for band in bands:
        new &= np.bitwise_count(band.of(gap)) > band.radius
    return new


def _bands(distance: int, left: int, right: int) -> list[Band]:
    """The bands with which the search is likely the fastest, if hashes were random."""
    return min((_cut(distance, count) for count in range(3, 17)), key=lambda bands: _cost(bands, left, right))


def _cut(distance: int, count: int) -> list[Band]:
    """`count` bands of the 64 bits, without those that need not be looked at.

    The radii and 1 each sum to distance + 1: a pair that is beyond all of them differs in more bits than `distance`.
    """
    edges = [64 * i // count for i in range(count + 1)]
    more, extra = divmod(distance + 1, count)
    radii = [more + (i < extra) - 1 for i in range(count)]
    return [Band(a, b - a, r) for a, b, r in zip(edges, edges[1:], radii, strict=False) if r >= 0]


def _cost(bands: list[Band], left: int, right: int) -> float:
    masks = [sum(comb(band.bits, r) for r in range(band.radius + 1)) for band in bands]
    each = [_MASK_COST + left + _CANDIDATE_COST * left * right / (1 << band.bits) for band in bands]
    tables = [(1 << band.bits) + _BAND_COST * right for band in bands]
    return sum(m * e + table for m, e, table in zip(masks, each, tables, strict=True))


def _cost_of_tables(distance: int, count: int) -> float:
    """As `_cost`."""
    tables = (1 << (distance + 1)) - 1
    candidates = _CANDIDATE_COST * count**2 / (1 << _KEY_BITS)
    return (tables + 3) * (_TABLE_COST + _SORT_COST * count) + tables * candidates


def _joined(blocks: Iterable[Block]) -> Block:
    """All blocks, sorted by pair; of a pair that comes twice, the smaller distance."""
    found = list(blocks)
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(p for p, _ in found)])
    distances = np.concatenate([np.empty(0, dtype=np.uint8), *(d for _, d in found)])
    order = np.lexsort((distances, pairs[:, 1], pairs[:, 0]))
    pairs, distances = pairs[order], distances[order]
    first = np.ones(len(pairs), dtype=bool)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[first], distances[first]


def _check(hashes: Hashes, distance: int) -> None:
    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"hashes are {hashes.dtype} of shape {hashes.shape}: give uint64 of shape (n,)")
    if not 0 <= distance <= 32:
        raise ValueError(f"distance is {distance}: give 0 to 32 bits")
