"""Run folders of augforge: the whole ledger comes back, with the bytes of what was kept."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, Value

from augforge.data.schema import ledger_schema
from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source

ROW = {
    "id": "", "label": "cat", "origin": "real", "kept": True, "dropped": None, "dropped_by": None, "parents": [],
    "stage": "source", "seed": None, "source": "folder f: a.png", "split": None, "digest": "d", "width": 8,
    "height": 9, "ref": "0:a.png", "sampled_params": "{}", "generation_config": None, "note": "",
    "pictures": "", "annotations": "", "labelled_by": None, "weight": 1.0, "scores": [],
}  # fmt: skip


def write_run(folder, rows, kept=("b", "a")):
    folder.mkdir()
    schema = ledger_schema(["dog", "cat"])
    pq.write_table(pa.Table.from_pylist([ROW | row for row in rows], schema=schema), folder / "samples.parquet")
    features = Features({"image": Image(), "id": Value("string")})
    images = [{"bytes": f"bytes of {name}".encode(), "path": None} for name in kept]
    Dataset.from_dict({"image": images, "id": list(kept)}, features=features).save_to_disk(str(folder / "dataset"))
    return str(folder)


ROWS = [
    {"id": "a", "split": "train"},
    {
        "id": "b", "label": "dog", "origin": "synthetic", "parents": ["a"], "seed": 5, "scores": [("clip", 0.5)],
        "sampled_params": json.dumps({"lam": 0.5}), "generation_config": json.dumps({"generator": "g"}),
    },
    {"id": "c", "label": None, "kept": False, "dropped": "truncated", "dropped_by": "source", "digest": ""},
]  # fmt: skip


def test_all_rows_come_with_what_is_known_of_them(tmp_path):
    where = write_run(tmp_path / "run", ROWS)
    source = open_source(*detect(where))
    assert source.classes() == ["dog", "cat"] and source.where == f"run {where}"
    first, made, dropped = source.entries()
    assert (first.locator, first.label, first.split, first.stamp) == ("a", "cat", "train", "d")
    assert made.carried["parents"] == ["a"] and made.carried["scores"] == {"clip": 0.5} and made.carried["seed"] == 5
    assert json.loads(made.carried["sampled_params"]) == {"lam": 0.5}
    assert dropped.carried["dropped"] == "truncated" and not dropped.carried["kept"] and dropped.label is None
    assert first.carried.keys() == ROW.keys() - {"label", "split", "ref"}


def test_kept_rows_have_bytes_and_dropped_ones_have_none(tmp_path):
    source = open_source("run", write_run(tmp_path / "run", ROWS))
    assert (source.read("a"), source.read("b")) == (b"bytes of a", b"bytes of b")
    for identity in ("c", "", "zzz", "aa"):
        with pytest.raises(BadImage, match="kept no image"):
            source.read(identity)


def test_a_run_of_nothing(tmp_path):
    source = open_source("run", write_run(tmp_path / "run", [], kept=()))
    assert list(source.entries()) == []
    with pytest.raises(BadImage):
        source.read("a")


def test_one_split_can_be_taken(tmp_path):
    where = write_run(tmp_path / "run", ROWS)
    assert [entry.locator for entry in open_source("run", where, split="train").entries()] == ["a"]
    with pytest.raises(SourceError, match="no split 'test'"):
        list(open_source("run", where, split="test").entries())


def test_an_unfinished_or_damaged_run_is_refused(tmp_path):
    where = write_run(tmp_path / "run", ROWS)
    (tmp_path / "run" / "dataset" / "state.json").unlink()
    with pytest.raises(SourceError, match="dataset is missing or unfinished"):
        open_source("run", where)
    pq.write_table(pa.table({"id": ["a"], "label": ["b"]}), tmp_path / "run" / "samples.parquet")
    with pytest.raises(SourceError, match=r"samples.parquet lacks digest, dropped, kept"):
        open_source("run", where)
    (tmp_path / "run" / "samples.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match="missing or damaged"):
        open_source("run", where)
