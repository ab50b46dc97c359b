"""The columns of the server against the ledger that they are made from."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.data.classes import filed_labels
from augforge.errors import StoreError
from augforge.report.outcomes import outcomes_of
from augforge.report.withheld import withheld
from augforge.view.build import HAS, cache_of
from augforge.view.coding import by_number, kind_of
from augforge.view.index import Index
from tests.report.runs import many_samples


@pytest.fixture(scope="module")
def table(hostile):
    return pq.read_table(hostile / "samples.parquet")


@pytest.fixture(scope="module")
def index(hostile) -> Index:
    return Index(hostile)


@pytest.mark.parametrize(
    ("name", "column"),
    [("label", "label"), ("origin", "origin"), ("stage", "stage"), ("by", "dropped_by"), ("split", "split")],
)
def test_codes_stand_for_the_texts(index, table, name, column):
    assert [index.text(name, code) for code in index.column(name).tolist()] == table.column(column).to_pylist()


def test_what_is_withheld_in_a_report_is_hidden(index, table):
    flagged, unjudged = withheld(table)
    assert flagged.any() and unjudged.any()
    assert index.column("hidden").tolist() == (flagged + 2 * unjudged).tolist()


def test_outcomes_files_and_scores_are_those_of_the_ledger(index, table):
    assert [index.text("outcome", code) for code in index.column("outcome").tolist()] == outcomes_of(table).tolist()
    assert [index.text("label", c) for c in index.column("filed").tolist()] == filed_labels(table, index.classes)
    for name in index.scores:
        expected = [dict(scores).get(name, np.nan) for scores in table.column("scores").to_pylist()]
        assert np.array_equal(index.score(name), expected, equal_nan=True)


def test_parents_and_children_are_those_of_the_ledger(index, table):
    ids, parents = table.column("id").to_pylist(), table.column("parents").to_pylist()
    children = {each: sorted(n for n, mine in enumerate(parents) if each in mine) for each in ids}
    for row, identity in enumerate(ids):
        assert [ids[parent] for parent in index.parents_of(row)] == list(dict.fromkeys(parents[row]))
        assert index.children_of(row).tolist() == children[identity]


def test_ids_are_found_whole_and_by_their_beginning(index, table):
    ids = table.column("id").to_pylist()
    assert index.find([*ids, "", "zz", ids[0] + "0", ids[0][:-1], "ä"]).tolist() == [
        *range(len(ids)),
        -1,
        -1,
        -1,
        -1,
        -1,
    ]
    for row, identity in enumerate(ids):
        assert index.starting_with(identity).tolist() == [row]
        expected = sorted(each for each in ids if each.startswith(identity[0]))
        assert [ids[found] for found in index.starting_with(identity[0])] == expected
    assert index.starting_with("").tolist() == index.starting_with("ä").tolist() == []


def test_what_a_sample_has_beside_its_picture(index, table):
    masks = [bool(text and "mask" in text) for text in table.column("pictures").to_pylist()]
    assert (index.column("has") >> HAS.index("mask") & 1).astype(bool).tolist() == masks and any(masks)


def test_more_than_one_batch_makes_the_same_columns(tmp_path, monkeypatch):
    folder = many_samples(tmp_path / "run", 500)
    whole = Index(folder)
    columns = {
        name: np.array(whole.column(name)) for name in ("label", "parents", "children", "hidden", "file_rank", "id")
    }
    shutil.rmtree(cache_of(folder))
    monkeypatch.setattr("augforge.view.build.BATCH", 64)
    apart = Index(folder)
    for name, column in columns.items():
        assert np.array_equal(apart.column(name), column), name
    everything = np.arange(500)[::-1]
    names = ["digest", "sampled_params"]
    assert apart.texts.take(everything, names) == whole.texts.take(everything, names)


def test_columns_are_made_once_and_again_when_the_ledger_is_another(tmp_path):
    folder = many_samples(tmp_path / "run", 20)
    first = Index(folder)
    (made,) = cache_of(folder).glob("columns-*/meta.json")
    time = made.stat().st_mtime_ns
    assert Index(folder).revision == first.revision and made.stat().st_mtime_ns == time
    table = pq.read_table(folder / "samples.parquet")
    pq.write_table(table.slice(0, 10), folder / "samples.parquet")
    second = Index(folder)
    assert (len(first), len(second)) == (20, 10) and first.revision != second.revision
    assert len(list(cache_of(folder).glob("columns-*"))) == 1
    assert first.identity(15) == table.column("id")[15].as_py()  # what is mapped stays


def test_an_empty_ledger_and_a_damaged_one(tmp_path):
    folder = many_samples(tmp_path / "run", 3)
    table = pq.read_table(folder / "samples.parquet")
    pq.write_table(table.slice(0, 0), folder / "samples.parquet")
    empty = Index(folder)
    assert len(empty) == 0 and empty.find(["x"]).tolist() == [-1] and len(empty.starting_with("0")) == 0
    (folder / "samples.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(StoreError, match="cannot be read"):
        Index(folder)
    with pytest.raises(StoreError, match="no run folder"):
        Index(tmp_path)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("near-duplicate of 3f9c2a71, 4 bits apart", "near-duplicate of …, … bits apart"),
        ("clip-prompt: under -0.25", "clip-prompt: under …"),
        ("over mean + 1.5 std of its class", "over mean + … std of its class"),
        ("quality-detail: 1e-05", "quality-detail: …"),
        ("not chosen", "not chosen"),
    ],
)
def test_reasons_of_a_kind(reason, kind):
    assert kind_of(reason) == kind


def test_stages_are_in_the_order_of_their_numbers():
    titles = ["10-filter-a", "write", "2-filter-b", "source", "1-generate-c"]
    assert sorted(titles, key=by_number) == ["source", "1-generate-c", "2-filter-b", "10-filter-a", "write"]
