"""Tables of keys that a near pair cannot all escape: the promise over all differences, and what would break it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from augforge.algorithms.duplicates import covering
from augforge.algorithms.duplicates.covering import WIDEST, Tables, masks_of
from augforge.algorithms.duplicates.hashes import ODD


def escapes(gaps: np.ndarray, masks: tuple[int, ...]) -> np.ndarray:
    """Which gaps have a bit in every mask: a pair that differs so meets in no table."""
    free = np.ones(len(gaps), dtype=bool)
    for mask in masks:
        free &= (gaps & np.uint64(mask)) != 0
    return free


def gaps_of(bits: np.ndarray) -> np.ndarray:
    """(n,) differences in the bits (n, k)."""
    return np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64), axis=1)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_every_difference_meets(distance: int) -> None:
    for count in range(1, distance + 1):
        gaps = gaps_of(np.array(list(combinations(range(64), count))))
        assert not escapes(gaps, masks_of(distance)).any()


@pytest.mark.parametrize("distance", range(4, WIDEST + 1))
def test_many_differences_meet_and_one_table_dimension_less_would_miss_some(distance: int) -> None:
    random = np.random.default_rng(distance)
    anywhere = np.argsort(random.random((5000, 64)), axis=1)[:, :distance]
    start = random.integers(0, 64 - distance + 1, 1000)[:, None]
    together = start + np.arange(distance)  # neighbours, as edits change them
    gaps = np.concatenate([gaps_of(anywhere), gaps_of(together)])
    assert not escapes(gaps, masks_of(distance)).any()
    assert escapes(gaps, masks_of(distance - 1)).any()


def test_the_vectors_of_a_basis_escape_tables_for_one_bit_less() -> None:
    """The proof is sharp: d vectors that span d dimensions are odd with some v for each, and 0 with none."""
    assert escapes(gaps_of(np.array([[1, 2, 4]])), masks_of(2)).all()
    assert not escapes(gaps_of(np.array([[1, 2, 4]])), masks_of(3)).any()


def test_keys_are_wide() -> None:
    for distance in range(2, WIDEST + 1):
        widths = {mask.bit_count() for mask in masks_of(distance)}
        assert min(widths) >= 28 and len(masks_of(distance)) == 2 ** (distance + 1) - 1
    with pytest.raises(ValueError, match="up to 9"):
        masks_of(WIDEST + 1)


def test_the_product_is_a_field() -> None:
    product = covering._product
    for x in range(1, 8):
        assert {product(x, y) for y in range(8)} == set(range(8)) and product(x, 1) == x
        assert all(product(x, y) == product(y, x) for y in range(8))
        assert all(product(x, y ^ z) == product(x, y) ^ product(x, z) for y in range(8) for z in range(8))


@pytest.mark.parametrize("turns", [(0,), (0, ODD)])
def test_each_pair_is_told_once(turns: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covering, "_PIECE", 50)
    monkeypatch.setattr(covering, "_BLOCK", 30)
    random = np.random.default_rng(1)
    values = np.unique(np.uint64(2**62 + 99) ^ random.integers(0, 2**11, 400, dtype=np.uint64))
    values[::3] ^= np.uint64(ODD)
    tables = Tables(values, 4, turns)
    told = [tuple(pair) for table in range(len(tables)) for block, _ in tables.pairs(table) for pair in block.tolist()]
    assert len(told) == len(set(told)) and all(i < j for i, j in told)
    gaps = values[:, None] ^ values[None] ^ np.array(turns, dtype=np.uint64)[:, None, None]
    near = np.argwhere(np.bitwise_count(gaps).min(axis=0) <= 4)
    assert set(told) == {(i, j) for i, j in near.tolist() if i < j}


def test_keys_that_are_equal_by_chance_are_no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covering, "_FACTOR", np.uint64(0))  # then all keys are equal
    random = np.random.default_rng(2)
    values = np.unique(random.integers(0, 2**64, 60, dtype=np.uint64))
    values = np.append(values, values[0] ^ np.uint64(1))
    tables = Tables(values, 2, (0,))
    told = [pair for table in range(len(tables)) for block, _ in tables.pairs(table) for pair in block.tolist()]
    assert told == [[0, len(values) - 1]]
