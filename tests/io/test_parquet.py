"""Parquet files: every way in which images and labels lie in them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source, parquet
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(5)]


def write(path, columns, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def test_a_file_of_datasets(tmp_path):
    features = Features({"image": Image(), "label": ClassLabel(names=["zebra", "ant"])})
    rows = {"image": [{"bytes": png, "path": "x.png"} for png in PNGS], "label": [0, 1, 0, None, -1]}
    Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    where = str(tmp_path / "a.parquet")
    source = open_source(*detect(where))
    entries = list(source.entries())
    assert source.classes() == ["zebra", "ant"]
    assert [entry.label for entry in entries] == ["zebra", "ant", "zebra", None, None]
    assert [source.read(entry.locator) for entry in entries] == PNGS
    assert entries[4].locator == "a.parquet#4" and entries[4].stamp and source.where == f"parquet {where}"


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array(["b", "a10", "a9", None, "b"]), ["a9", "a10", "b"]),
        (pa.array(["b", "a10", "a9", None, "b"]).dictionary_encode(), ["a9", "a10", "b"]),
        (pa.array([10, 9, 9, None, 1], pa.int8()), ["1", "9", "10"]),
        (pa.array([True, False, None, True, True]), ["False", "True"]),
    ],
)
def test_plain_binary_and_plain_labels(tmp_path, kind, labels, classes):
    where = write(tmp_path / "a.parquet", {"image": pa.array(PNGS, kind), "label": labels}, row_group_size=2)
    source = open_source("parquet", where)
    assert source.classes() == classes
    assert [e.label for e in source.entries()] == [None if v is None else str(v) for v in labels.to_pylist()]
    assert [source.read(e.locator) for e in source.entries()] == PNGS


def test_without_labels(tmp_path):
    source = open_source("parquet", write(tmp_path / "a.parquet", {"image": pa.array(PNGS)}, row_group_size=2))
    assert source.classes() == []
    assert [(e.locator, e.label) for e in source.entries()] == [(f"a.parquet#{n}", None) for n in range(5)]


def test_a_folder_with_splits_told_by_the_paths(tmp_path):
    for name in (
        "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet",
        "extra/validation/0.parquet", "contest.parquet", ".cache/hidden.parquet",
    ):  # fmt: skip
        write(tmp_path / name, {"image": pa.array(PNGS[:2]), "label": [name, name]})
    (tmp_path / "README.md").touch()
    source = open_source(*detect(str(tmp_path)))
    assert {entry.label: entry.split for entry in source.entries()} == {
        "contest.parquet": None,
        "data/test-00000-of-00001.parquet": "test",
        "data/train-00000-of-00002.parquet": "train",
        "data/train-00001-of-00002.parquet": "train",
        "extra/validation/0.parquet": "validation",
    }
    assert len(list(open_source("parquet", str(tmp_path), split="train").entries())) == 4
    with pytest.raises(SourceError, match="no split 'dev2'"):
        list(open_source("parquet", str(tmp_path), split="dev2").entries())


def test_the_name_of_a_single_file_tells_its_split(tmp_path):
    where = write(tmp_path / "cifar10_test.parquet", {"image": pa.array(PNGS)})
    assert {entry.split for entry in open_source("parquet", where).entries()} == {"test"}


def test_rows_without_images(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [None, {"bytes": None, "path": None}, {"bytes": None, "path": "there.png"}, {"bytes": b"x", "path": "y"}]
    (tmp_path / "there.png").write_bytes(b"file")
    source = open_source("parquet", write(tmp_path / "a.parquet", {"image": pa.array(cells, kind)}))
    nulls, empty, path, inside = (entry.locator for entry in source.entries())
    for locator in (nulls, empty):
        with pytest.raises(BadImage, match="no image in this row"):
            source.read(locator)
    assert (source.read(path), source.read(inside)) == (b"file", b"x")
    for locator in ("a.parquet#4", "a.parquet#-1", "b.parquet#0", "x"):
        with pytest.raises(BadImage, match="there is no row"):
            source.read(locator)


def test_what_was_read_stays_in_memory_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "CACHE_BYTES", 25_000)
    images = [np.random.default_rng(n).bytes(1000) for n in range(100)]
    source = open_source("parquet", write(tmp_path / "a.parquet", {"image": pa.array(images)}, row_group_size=10))
    read = []
    original = source._read_group
    monkeypatch.setattr(
        source, "_read_group", lambda name, group, column: read.append(group) or original(name, group, column)
    )
    locators = [entry.locator for entry in source.entries()]
    assert [source.read(locator) for locator in locators] == images
    assert read == list(range(10)), "reading in order reads each row group once"
    assert sum(group.nbytes for group in source._groups.values()) <= 25_000
    order = np.random.default_rng(0).permutation(100)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: source.read(locators[n]), order)) == [images[n] for n in order]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 9))
def test_any_bytes_and_row_groups_go_there_and_back(tmp_path_factory, images, size):
    folder = tmp_path_factory.mktemp("p")
    where = write(folder / "a.parquet", {"image": pa.array(images, pa.binary())}, row_group_size=size)
    source = open_source("parquet", where)
    assert [source.read(entry.locator) for entry in source.entries()] == images


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(SourceError, match="no Parquet file, or damaged"):
        open_source("parquet", str(tmp_path / "a.parquet"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no Parquet files in it"):
        open_source("parquet", str(tmp_path / "empty"))


def test_a_damaged_row_group_costs_its_rows(tmp_path):
    columns = {"image": pa.array([np.random.default_rng(n).bytes(500) for n in range(20)])}
    where = write(tmp_path / "a.parquet", columns, row_group_size=10, compression="zstd", use_dictionary=False)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    offset = pq.read_metadata(where).row_group(1).column(0).data_page_offset
    content[offset : offset + 40] = bytes(40)
    (tmp_path / "a.parquet").write_bytes(content)
    source = open_source("parquet", where)
    assert source.read("a.parquet#3") == columns["image"][3].as_py()
    with pytest.raises(BadImage, match="row group 1 of its file is damaged"):
        source.read("a.parquet#13")


def test_rows_of_augforge_carry_their_history(tmp_path):
    columns = {
        "image": pa.array(PNGS[:1]), "id": ["1" * 20], "origin": ["real"], "weight": [1.5], "split": ["val"],
        "provenance": [json.dumps({"source": "folder f: a.png", "digest": "d", "note": ""})],
    }  # fmt: skip
    (entry,) = open_source("parquet", write(tmp_path / "a.parquet", columns)).entries()
    assert entry.split == "validation"
    assert entry.carried["id"] == "1" * 20 and entry.carried["weight"] == 1.5 and entry.carried["digest"] == "d"
