"""Labels of any kind come back from every export as they were, and are not taken for no label."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augforge.engine.run import run
from augforge.io import detect, open_source
from augforge.publish.export import export
from augforge.recipe import Recipe, SourceSpec
from tests.publish.runs import mask, picture
from tests.publish.test_formats import FORMATS

ODD = (
    None, "", " ", "  two  blanks ", "\t", "line\nbreak", "carriage\rreturn", "a/b", "a\\b", "/", "..", ".", "C:\\x",
    "a,b", "a;b", "a|b", "a:b", 'quo"te', "x" * 1000, "y" * 1000, "é" * 1000, "0", "-1", "007", "1e3", "nan", "None",
    "null", "true", "train", "masks", "Cat", "cat", "CAT ", "猫", "👩‍🔬", "‮gpj", "#", "%2F", "<b>", "{}", "[]", "~",
    "$HOME", "\x1b[31m",
)  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two images of every odd label, the second with a mask."""
    folder = tmp_path_factory.mktemp("odd")
    labels = [label for label in ODD for _ in range(2)]
    table = {
        "image": [picture(number, size=8) for number in range(len(labels))],
        "mask": [mask(number, size=8) if number % 2 else None for number in range(len(labels))],
        "label": pa.array(labels, pa.string()),
    }
    pq.write_table(pa.table(table), folder / "source.parquet")
    run(Recipe("odd", 0, (SourceSpec("parquet", str(folder / "source.parquet")),), ()), folder / "run", device="cpu")
    return folder / "run"


@pytest.mark.parametrize("to", FORMATS)
def test_odd_labels_come_back_as_they_were(odd, tmp_path, to):
    export(odd, to, tmp_path / "out")
    source = open_source(*detect(str(tmp_path / "out")))
    entries = list(source.entries())
    assert Counter(entry.label for entry in entries) == dict.fromkeys(ODD, 2)
    assert sorted(source.classes()) == sorted(label for label in ODD if label is not None)
    assert not any(entry.problem for entry in entries) and sum(bool(entry.pictures) for entry in entries) == len(ODD)
    run(Recipe("again", 0, (SourceSpec(*detect(str(tmp_path / "out"))),), ()), tmp_path / "again", device="cpu")
    before, after = (
        {row["id"]: row["label"] for row in pq.read_table(path / "samples.parquet").to_pylist()}
        for path in (odd, tmp_path / "again")
    )
    assert after == before


def test_the_dataset_of_the_run_has_them_too(odd):
    entries = open_source("dataset", str(odd / "dataset")).entries()
    assert Counter(entry.label for entry in entries) == dict.fromkeys(ODD, 2)


@pytest.mark.parametrize("to", ["folder", "parquet", "hf", "webdataset"])
def test_datasets_reads_the_same_labels(odd, tmp_path, to):
    import datasets

    export(odd, to, tmp_path / "out")
    if to == "hf":
        rows = datasets.load_from_disk(str(tmp_path / "out"))["train"]
    else:
        rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    if to == "webdataset":
        found = [row["json"]["label"] if row["cls"] is not None else None for row in rows]
    elif to == "folder":
        found = [label or (None if none else "") for label, none in _told(tmp_path / "out")]
        assert Counter(rows["label"]) == Counter(label or "" for label in found)
    else:
        names = rows.features["label"].names
        found = [None if place is None else names[place] for place in rows["label"]]
    assert Counter(found) == dict.fromkeys(ODD, 2)


def _told(out: Path) -> list[tuple[str, bool]]:
    """The label of every line of metadata.jsonl, and whether the image lies outside of all class folders."""
    import json

    lines = (out / "train" / "metadata.jsonl").read_text().split("\n")
    records = [json.loads(line) for line in lines if line]
    return [(record["label"], "/" not in record["file_name"]) for record in records]
