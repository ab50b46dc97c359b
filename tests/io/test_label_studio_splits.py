"""Tasks of others in Label Studio tell splits by their own paths, wherever the pictures are found."""

from __future__ import annotations

import json

import pytest

from augforge.io import open_source
from tests.conftest import write_images


@pytest.mark.parametrize(
    "data",
    [
        {"image": "/data/local-files/?d=proj/test/0.png"},
        {"image": "/data/local-files/?d=proj/0.png", "split": "test"},
        {"image": "/data/local-files/?d=proj/test/0.png", "split": "train"},
    ],
)
def test_an_evaluation_split_that_a_task_tells_is_that_of_its_picture(tmp_path, data):
    write_images(tmp_path, {"images": 1})
    (name,) = (path.name for path in (tmp_path / "images").iterdir())
    told = {key: value.replace("0.png", name) for key, value in data.items()}
    result = {"type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": ["cat"]}}
    (tmp_path / "tasks.json").write_text(json.dumps([{"data": told, "annotations": [{"result": [result]}]}]))
    (entry,) = open_source("label-studio", str(tmp_path)).entries()
    assert entry.split == "test" and entry.label == "cat" and not entry.problem
