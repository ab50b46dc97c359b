"""Rows in files are those in memory: whatever is read of them, in whatever order, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data import rows as module
from augforge.data.rows import Rows
from augforge.errors import StoreError

SCHEMA = pa.schema([("id", pa.string()), ("parents", pa.list_(pa.string())), ("width", pa.int32())])
TEXT = st.text("abé", max_size=3)
ROW = st.fixed_dictionaries(
    {"id": TEXT | st.none(), "parents": st.lists(TEXT, max_size=2), "width": st.integers(0, 9) | st.none()}
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 3 rows lie in a file, in batches of 2, and are looked up 4 at a time."""
    monkeypatch.setattr(module, "IN_MEMORY", 3)
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    monkeypatch.setattr(module, "PIECE", 4)


def batches(*parts: list[dict]) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist(part, SCHEMA) for part in parts]


@pytest.mark.usefixtures("small")
def test_rows_are_those_of_a_list(tmp_path: Path) -> None:
    @settings(deadline=None)
    @given(st.lists(st.lists(st.lists(ROW, max_size=5), max_size=3), max_size=4), st.data())
    def check(stages: list[list[list[dict]]], data: st.DataObject) -> None:
        rows, known = Rows(SCHEMA, tmp_path), list[dict]()
        for stage in stages:
            rows.extend(iter(batches(*stage)))
            known += [row for part in stage for row in part]
        assert len(rows) == len(known)
        assert [row for batch in rows.batches(SCHEMA.names) for row in batch.to_pylist()] == known
        places = np.array(
            data.draw(st.lists(st.integers(0, len(known) - 1), max_size=9) if known else st.just([])), int
        )
        assert rows.take(places, SCHEMA.names).to_pylist() == [known[place] for place in places]
        assert [v for p in rows.pieces("width", places) for v in p.to_pylist()] == [known[p]["width"] for p in places]
        assert rows.texts("id", places).tolist() == [(known[place]["id"] or "").encode() for place in places]
        assert rows.texts("id").tolist() == [(row["id"] or "").encode() for row in known]
        start = data.draw(st.integers(0, len(known)))
        stop = data.draw(st.integers(start, len(known)))
        cut = [row for batch in rows.batches(["id"], start, stop) for row in batch.to_pylist()]
        assert cut == [{"id": row["id"]} for row in known[start:stop]]

    check()


def some(count: int, first: int = 0) -> list[dict]:
    return [{"id": f"{first + n:020x}", "parents": [], "width": n} for n in range(count)]


@pytest.mark.usefixtures("small")
def test_a_copy_goes_on_by_itself(tmp_path: Path) -> None:
    rows = Rows(SCHEMA, tmp_path)
    rows.extend(batches(some(5)))
    copy = rows.copy()
    rows.extend(batches(some(4, 5)))
    copy.extend(batches(some(2, 100)))
    assert rows.texts("id").tolist() == [f"{n:020x}".encode() for n in range(9)]
    assert copy.texts("id").tolist() == [f"{n:020x}".encode() for n in (*range(5), 100, 101)]


@pytest.mark.usefixtures("small")
def test_what_fails_half_way_adds_nothing(tmp_path: Path) -> None:
    rows = Rows(SCHEMA, tmp_path)
    rows.extend(batches(some(2)))

    def failing():
        yield from batches(some(6, 2))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        rows.extend(failing())
    assert len(rows) == 2 and rows.texts("id").tolist() == [f"{n:020x}".encode() for n in range(2)]


@pytest.mark.usefixtures("small")
def test_the_file_has_no_name_and_is_gone_with_its_rows(tmp_path: Path) -> None:
    opened = len(list(Path("/proc/self/fd").iterdir()))
    rows = Rows(SCHEMA, tmp_path)
    rows.extend(batches(some(50)))
    assert list(tmp_path.iterdir()) == [] and len(list(Path("/proc/self/fd").iterdir())) > opened
    del rows
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=str(tmp_path / "gone")):
        Rows(SCHEMA, tmp_path / "gone").extend(batches(some(5)))


def test_few_rows_need_no_file(tmp_path: Path) -> None:
    rows = Rows(SCHEMA, tmp_path / "gone")
    rows.extend(batches(some(500)))
    assert len(rows) == 500
