"""The stage `shifts`: who is shifted, what is recorded, where it goes, and what masks do."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.algorithms.geometry import Geometry, Resize
from augforge.data.images import decode_mask
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.saved import saved


def shifts(source, out, **options):
    stage = build_stage("generate", "shifts", {"size": 24, **options})
    run(Recipe("shifts", 3, (SourceSpec("folder", str(source)),), (stage,)), out, allow_empty=True)
    return [row for row in pq.read_table(out / "samples.parquet").to_pylist() if row["origin"] == "synthetic"]


def test_every_training_image_once_and_all_of_it_validation(tmp_path):
    write_images(tmp_path / "set" / "train", {"cat": 5, "dog": 3})
    write_images(tmp_path / "set" / "test", {"cat": 4, "dog": 4}, seed=9)
    made = shifts(tmp_path / "set", tmp_path / "out")
    assert len(made) == 8 and {row["split"] for row in made} == {"validation"}
    assert len({parent for row in made for parent in row["parents"]}) == 8
    test = {r["id"] for r in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist() if r["split"] == "test"}
    assert test.isdisjoint(parent for row in made for parent in row["parents"])
    assert shifts(tmp_path / "set", tmp_path / "none", split="test") == []


def test_what_was_drawn_is_in_the_provenance(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 6})
    shifts(source, tmp_path / "out", fold="2", **{"per-class": 12})
    rows = [r for r in saved(tmp_path / "out") if r["origin"] == "synthetic"]
    drawn = [json.loads(row["provenance"]) for row in rows]
    assert rows and {d["family"] for d in drawn} <= {"convolutional", "edges", "geometric", "segmentation", "weather"}
    assert all(d["op"] and isinstance(d["parameters"], dict) and d["versions"]["scikit-image"] for d in drawn)
    assert {min(row["image"].size) for row in rows} == {24}


def test_families_alone_and_one_fold_within_the_other(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 4})
    for given in ("edges", "edges,weather", ["weather", "edges"]):
        stage = build_stage("generate", "shifts", {"families": given})
        assert stage.families == (("edges",) if given == "edges" else ("edges", "weather"))
    made = shifts(source, tmp_path / "out", families="edges")
    assert {json.loads(row["sampled_params"])["op"] for row in made} == {"edge-map"}
    with pytest.raises(RecipeError, match="edges is no family of fold 1: arithmetic"):
        build_stage("generate", "shifts", {"families": "edges", "fold": 1})
    with pytest.raises(RecipeError, match="'smear' is none of"):
        build_stage("generate", "shifts", {"families": "smear"})


def test_severity_0_only_resizes(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 8})
    shifts(source, tmp_path / "out", severity=0)
    data = saved(tmp_path / "out")
    real = {row["id"]: np.asarray(row["image"].convert("RGB")) for row in data if row["origin"] == "real"}
    for row in (row for row in data if row["origin"] == "synthetic"):
        (parent,) = json.loads(row["provenance"])["parents"]
        image = real[parent["id"]]
        scale = 24 / min(image.shape[:2])
        resized = Resize(*(round(side * scale) for side in image.shape[:2])).move(image, "bicubic", None)
        assert np.abs(np.asarray(row["image"]).astype(int) - resized).max() <= 1


@pytest.mark.parametrize("families", ["geometric", "colour"])
def test_masks_follow_what_is_geometric_and_nothing_else(tmp_path, families):
    folder = tmp_path / "set"
    write_images(folder / "images", {".": 6}, seed=2)
    (folder / "masks").mkdir(parents=True)
    masks = {}
    for number, path in enumerate(sorted((folder / "images").glob("*.png"))):
        height, width = np.asarray(Image.open(path)).shape[:2]
        mask = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2) + number, np.ones((height, width), np.uint8))
        mask = mask[::2, ::2]
        Image.fromarray(mask).save(folder / "masks" / path.name)
        masks[path.read_bytes()] = mask
    shifts(folder, tmp_path / "out", families=families)
    data = saved(tmp_path / "out")
    rows = list(data.cast_column("image", _bytes()).cast_column("mask", _bytes()))
    real = {row["id"]: masks[row["image"]["bytes"]] for row in rows if row["origin"] == "real"}
    made = [row for row in rows if row["origin"] == "synthetic"]
    assert len(made) == 6
    for row in made:
        drawn = json.loads(row["provenance"])
        before = real[drawn["parents"][0]["id"]]
        width, height = Image.open(io.BytesIO(row["image"]["bytes"])).size
        moves = Geometry((Resize(height, width), *Geometry.from_plain(drawn["parameters"].get("geometry", [])).ops))
        assert (decode_mask(row["mask"]["bytes"]) == moves.apply_label(before)).all()
        assert set(np.unique(moves.apply_label(before))) <= {*np.unique(before), 255}


def _bytes():
    from datasets import Image as Column

    return Column(decode=False)
