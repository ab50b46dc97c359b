"""Texts as bytes, hashes and numbers: known answers, against lists of texts, and the wrong variants fail."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data import texts as module
from augforge.data.texts import Coded, TextView, bytes_of, hashes_of_texts, order_of

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
LONG = st.text("ab", min_size=0, max_size=18)


@given(st.lists(TEXT | st.none()), st.integers(0, 3), st.integers(0, 3))
def test_bytes_are_those_of_the_texts_of_a_slice(texts: list[str | None], start: int, less: int) -> None:
    column = pa.array(texts, pa.string()).slice(start)
    column = column.slice(0, max(0, len(column) - less))
    assert bytes_of(column).tolist() == [(text or "").encode() for text in column.to_pylist()]


def test_texts_of_one_length_are_not_copied() -> None:
    column = pa.array(["ab", "cd", "ef"])
    assert np.shares_memory(bytes_of(column), np.frombuffer(column.buffers()[2], np.uint8))


@given(st.lists(TEXT | LONG, min_size=1))
def test_hashes_depend_on_the_text_alone(texts: list[str]) -> None:
    found = np.array([text.encode() for text in texts], dtype=np.bytes_)
    hashes = hashes_of_texts(found)
    assert hashes.tolist() == hashes_of_texts(found.astype("S99")).tolist()
    assert [hashes_of_texts(found[[n]])[0] for n in range(len(found))] == hashes.tolist()


def test_ids_have_different_hashes() -> None:
    """Were only the first 8 bytes looked at, all of these would have one."""
    ids = np.array([f"{n:020x}" for n in range(100_000)], dtype=np.bytes_)
    assert len(np.unique(hashes_of_texts(ids))) == len(ids)


@given(st.lists(TEXT | LONG))
def test_the_order_is_that_of_the_texts(texts: list[str]) -> None:
    found = np.array([text.encode() for text in texts], dtype="S80")
    assert order_of(found).tolist() == sorted(range(len(texts)), key=texts.__getitem__)


@given(st.lists(TEXT, min_size=1), st.integers(0, 9))
def test_a_view_is_the_list(texts: list[str], place: int) -> None:
    view = TextView(np.array([text.encode() for text in texts], dtype=np.bytes_))
    assert list(view) == texts and len(view) == len(texts) and list(view[place:]) == texts[place:]
    assert view[-1] == texts[-1] and np.asarray(view).tolist() == [text.encode() for text in texts]


@pytest.mark.parametrize("page", [2, 65_536])
def test_a_column_of_numbers_is_a_list_of_texts(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", page)
    values = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "", "é"]) | st.none(), max_size=9)

    @settings(deadline=None)
    @given(st.lists(values, max_size=4), st.data())
    def check(parts: list[list[str | None]], data: st.DataObject) -> None:
        column, known = Coded(), [value for part in parts for value in part]
        column.extend([column.numbers(part) for part in parts])
        before = column.copy()
        was = list(known)
        for _ in range(data.draw(st.integers(0, 3)) if known else 0):
            places = data.draw(st.lists(st.integers(0, len(known) - 1), max_size=5, unique=True))
            written = data.draw(st.lists(st.sampled_from(["x", "a", "y"]), min_size=len(places), max_size=len(places)))
            column.write(np.array(places, int), written)
            for place, value in zip(places, written, strict=True):
                known[place] = value
        assert column.list() == known and before.list() == was
        assert column.arrow().to_pylist() == known
        some = np.arange(len(known))[::2]
        assert column.list(some) == known[::2] and column.equal("a").tolist() == [value == "a" for value in known]
        assert column.equal(None).tolist() == [value is None for value in known]
        counts = column.counts(some)
        assert list(counts.items()) == list(Counter(known[::2]).items())
        assert column.mapped(lambda text: len(text or ""), int, some).tolist() == [len(v or "") for v in known[::2]]

    check()


def test_few_texts_take_a_byte_and_many_more_as_they_come() -> None:
    column = Coded()
    column.extend([column.numbers([f"{n}" for n in range(128)])])
    assert column.codes.itemsize == 1
    column.write(np.array([0]), "another")
    assert column.codes.itemsize == 2 and column.list(np.array([0, 127])) == ["another", "127"]
    column.write(np.arange(128), [f"again {n}" for n in range(128)])
    assert column.list() == [f"again {n}" for n in range(128)]
