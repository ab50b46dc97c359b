"""A folder that is named as such, and has a metadata file of others: what that says counts, evaluation splits first."""

from __future__ import annotations

import json

import pytest

from augforge.errors import SourceError
from augforge.io import open_source
from tests.conftest import write_images


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "set", {"images": 6})
    names = sorted(path.name for path in (tmp_path / "set" / "images").iterdir())
    lines = [
        json.dumps({"file_name": f"images/{name}", "label": "ab"[n % 2], "split": "test" if n < 3 else "train"})
        for n, name in enumerate(names)
    ]
    (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "set")


def test_the_splits_and_labels_of_the_table_count(folder):
    entries = list(open_source("folder", folder).entries())
    assert [e.split for e in entries] == ["test"] * 3 + ["train"] * 3
    assert {e.label for e in entries} == {"a", "b"}


def test_one_class_for_all_keeps_the_splits(folder):
    entries = list(open_source("folder", folder, **{"class": "bird"}).entries())
    assert {e.label for e in entries} == {"bird"} and [e.split for e in entries].count("test") == 3


def test_an_option_of_a_plain_folder_is_a_question(folder, tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(SourceError, match="metadata file, which counts"):
        open_source("folder", folder, masks=str(tmp_path / "masks"))
