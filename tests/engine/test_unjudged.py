"""Filters that compare with real images leave alone what is evaluated on and has nothing to be compared with."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.engine.test_guards import Heard


@pytest.mark.parametrize("options", [{"keep": 0.5}, {"min": -1.0, "scope": "all"}])
@pytest.mark.parametrize("split", ["test", "train"])
def test_a_test_set_keeps_a_class_without_training_images(tmp_path, options, split):
    root = tmp_path / "set"
    write_images(root / "train", {"cat": 4})
    write_images(root / split, {"dog": 3}, seed=1)
    heard = Heard()
    stage = build_stage("filter", "prototype", options)
    run(Recipe("x", 1, (SourceSpec("folder", str(root)),), (stage,)), tmp_path / "out", device="cpu", progress=heard)
    dogs = [row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist() if row["label"] == "dog"]
    said = [text for text in heard.lines if "3 images of evaluation splits stay unjudged" in text and "of dog" in text]
    assert len(said) == (1 if split == "test" else 0)
    assert sum(row["kept"] for row in dogs) == (1 if split == "train" and "keep" in options else 3)
    assert {row["weight"] for row in dogs} == {1.0}


def test_a_test_folder_alone_is_left_alone(tmp_path):
    heard = Heard()
    source = SourceSpec("folder", str(write_images(tmp_path / "test", {"cat": 2, "dog": 3})))
    stage = build_stage("filter", "prototype", {"keep": 0.5})
    summary = run(Recipe("x", 1, (source,), (stage,)), tmp_path / "out", device="cpu", progress=heard)
    assert summary.kept == 5 and any("5 images of evaluation splits" in t and "cat, dog" in t for t in heard.lines)
