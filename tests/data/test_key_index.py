"""Rows are found by their keys as a dict finds them, in at most 30 bytes a key of 20 hex digits."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.key_index import KeyIndex

KEY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NEAR = st.text("ab", max_size=4)
HEX = st.integers(0, 300).map(lambda n: hashlib.sha256(str(n).encode()).hexdigest()[:20])


def ids(count: int) -> list[str]:
    """Ids of 20 hex digits."""
    digits = hashlib.shake_128(b"ids").hexdigest(10 * count)
    return [digits[start : start + 20] for start in range(0, 20 * count, 20)]


def columns(*parts: Sequence[str]) -> list[pa.ChunkedArray]:
    return [pa.chunked_array([pa.array(part, pa.string())]) for part in parts]


def by_dict(parts: Sequence[Sequence[str]], wanted: Sequence[str]) -> list[int]:
    """What a dict that keeps the first row of each key says."""
    first: dict[str, int] = {}
    for row, key in enumerate(key for part in parts for key in part):
        first.setdefault(key, row)
    return [first.get(key, -1) for key in wanted]


@pytest.mark.parametrize("keys", [KEY, NEAR, HEX])
def test_rows_are_those_that_a_dict_finds(keys: st.SearchStrategy[str]) -> None:
    @settings(deadline=None)
    @given(st.lists(st.lists(keys, max_size=20), max_size=4), st.lists(keys | NEAR, max_size=20))
    def check(parts: list[list[str]], others: list[str]) -> None:
        index = KeyIndex(columns(*parts))
        wanted = [key for part in parts for key in part] + others
        assert index.find(wanted).tolist() == by_dict(parts, wanted)
        assert [index.find([key]).tolist() for key in others] == [[row] for row in by_dict(parts, others)]
        assert index.keys() == {key for part in parts for key in part} and len(index) == sum(map(len, parts))

    check()


def test_a_longer_key_that_begins_with_one_is_missing() -> None:
    """Were wanted keys only cut to the width of the index, "aab" would be found as "aa"."""
    index = KeyIndex(columns(["aa", "ab"]))
    assert index.find(["aab", "ab", "a", "ü"]).tolist() == [-1, 1, -1, -1]


def test_a_million_ids_take_at_most_30_bytes_each() -> None:
    names = ids(1_000_000)
    parts = columns(*(names[start : start + 10_000] for start in range(0, len(names), 10_000)))
    tracemalloc.start()
    try:
        index = KeyIndex(parts)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index) == 1_000_000 and kept <= 30 * 1_000_000, kept


def test_ids_are_found_as_fast_as_in_an_array_of_texts() -> None:
    """The index that was there before: numpy's own strings, 4 bytes a letter."""
    names = ids(200_000)
    known, wanted = names[::2], names[:100_000]
    index, before = KeyIndex(columns(known)), np.sort(np.array(known))

    def as_before() -> None:
        texts = np.array(wanted, dtype=np.str_)
        places = np.minimum(np.searchsorted(before, texts), len(before) - 1)
        np.where(before[places] == texts, places, -1)

    def seconds(call: Callable[[], object]) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    now, then = zip(*((seconds(lambda: index.find(wanted)), seconds(as_before)) for _ in range(5)), strict=True)
    assert min(now) <= min(then), (min(now), min(then))
