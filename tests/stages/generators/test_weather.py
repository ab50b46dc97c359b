"""The stage `weather`: where the depth comes from, what is recorded, and that annotations stay."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.weather import WEATHER, gradient, metres
from augforge.data.ids import rng
from augforge.errors import RecipeError
from augforge.models.depth import DepthEstimator
from augforge.publish.rows import _without_model
from augforge.recipe import build_stage
from augforge.stages.generators.weather import KindName
from tests.conftest import write_images
from tests.stages.generators.made import ledger, made_by

BOX = {"bbox": [[4.0, 5.0, 10.0, 12.0]], "categories": ["car"]}


def with_depth(folder, depths):
    """An imagefolder whose images have depth pictures, and a box each."""
    write_images(folder, {".": len(depths)}, size=40)
    lines = []
    for number, depth in enumerate(depths):
        line = {"file_name": f"{number:04d}.png", "objects": BOX}
        if depth is not None:
            Image.fromarray(depth).save(folder / f"d{number}.png")
            line["depth_file_name"] = f"d{number}.png"
        lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def depth_of(seed, dtype=np.uint16):
    return rng(seed, "depth").integers(1, np.iinfo(dtype).max, (40, 40), dtype=dtype)


@pytest.mark.parametrize("kind", WEATHER)
def test_without_a_depth_an_image_is_what_its_row_and_the_gradient_say(tmp_path, kind):
    rows = made_by("weather", write_images(tmp_path / "set", {"cat": 3}), tmp_path / "out", kind=kind)
    assert len(rows) == 3
    for row in rows:
        drawn = row["drawn"]
        assert (row["pixels"] == WEATHER[kind](row["before"], gradient((32, 32)), drawn["parameters"])).all()
        assert drawn.get("depth") == ("gradient" if WEATHER[kind].uses_depth else None)
        assert (row["pixels"] != row["before"]).any() and _without_model(json.dumps(drawn))


def test_severity_0_leaves_every_byte_of_every_kind(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 12})
    rows = made_by("weather", source, tmp_path / "out", kind=",".join(WEATHER), severity=0)
    assert len({row["drawn"]["kind"] for row in rows}) > 3
    assert all((row["pixels"] == row["before"]).all() for row in rows)


@pytest.mark.parametrize(("dtype", "options", "scale"), [
    (np.uint16, {}, 256 / 65535),
    (np.uint8, {"far": 100}, 100 / 255),
    (np.uint16, {"depth_scale": 0.001}, 0.001),
])  # fmt: skip
def test_the_depth_of_an_image_is_its_own_picture_if_it_has_one(tmp_path, dtype, options, scale):
    depths = [depth_of(1, dtype), depth_of(2, dtype), None]
    rows = made_by(
        "weather", with_depth(tmp_path / "set", depths), tmp_path / "out", "imagefolder", kind="fog", **options
    )
    real = ledger(tmp_path / "out")
    assert sorted(row["drawn"]["depth"] for row in rows) == ["gradient", "picture", "picture"]
    for row in rows:
        name = real[row["drawn"]["parents"][0]["id"]]["source"]
        depth = depths[int(name.rpartition(" ")[2].partition(".")[0])]
        known = gradient((40, 40)) if depth is None else metres(depth, scale)
        assert (row["pixels"] == WEATHER["fog"](row["before"], known, row["drawn"]["parameters"])).all()
        assert [box["box"] for box in row["boxes"]] == [[4.0, 5.0, 14.0, 17.0]]
        if depth is not None:
            assert (np.asarray(row["depth"]) == depth).all()


def test_a_depth_picture_without_any_depth_costs_its_image_alone(tmp_path):
    source = with_depth(tmp_path / "set", [depth_of(1), np.zeros((40, 40), np.uint16)])
    rows = made_by("weather", source, tmp_path / "out", "imagefolder", kind="snow")
    assert len(rows) == 1
    (lost,) = [row for row in ledger(tmp_path / "out").values() if row["dropped"]]
    assert "no pixel of a known depth" in lost["dropped"]


def test_a_model_sees_the_depth_of_images_without_one(tmp_path, tiny_models):
    model = tiny_models["depth-estimation"]
    source = with_depth(tmp_path / "set", [depth_of(1), None])
    rows = made_by("weather", source, tmp_path / "out", "imagefolder", kind="fog", depth_model=model)
    assert sorted(row["drawn"]["depth"] for row in rows) == ["model", "picture"]
    (row,) = [row for row in rows if row["drawn"]["depth"] == "model"]
    depth = DepthEstimator(model, "cpu").depth(Image.fromarray(row["before"]), 256.0)
    assert (row["pixels"] == WEATHER["fog"](row["before"], depth, row["drawn"]["parameters"])).all()
    assert row["drawn"]["depth-model"]["digest"]


def test_a_translator_makes_the_nights_and_nothing_else(tmp_path, tiny_models):
    source = write_images(tmp_path / "set", {"cat": 8})
    options = {"kind": "night,dusk", "model": tiny_models["night"]}
    nights = {}
    for severity in (1, 0.5, 0):
        rows = made_by("weather", source, tmp_path / f"{severity}", severity=severity, **options)
        assert {row["drawn"]["kind"] for row in rows} == {"night", "dusk"}
        for row in rows:
            assert ("translated" in row["drawn"]) == (row["drawn"]["kind"] == "night")
            assert not _without_model(json.dumps(row["drawn"])), "it is marked as an image of a trained model"
            if "translated" in row["drawn"]:
                nights[severity, row["drawn"]["parents"][0]["id"]] = row
    for (severity, parent), row in nights.items():
        if severity == 0:
            assert (row["pixels"] == row["before"]).all()
        elif severity == 1 and (0.5, parent) in nights:
            between = nights[0.5, parent]["pixels"].astype(float)
            assert np.abs(between - (row["pixels"].astype(float) + row["before"]) / 2).max() <= 1


def test_every_kind_can_be_asked_for():
    assert get_args(KindName) == tuple(WEATHER)


def test_wrong_options_are_refused():
    for options, message in (
        ({}, "kind"),
        ({"kind": "hail"}, "'hail' is none of fog, rain"),
        ({"kind": ""}, "give one or some of fog"),
        ({"kind": "fog", "model": "x"}, "translator for nights"),
    ):
        with pytest.raises(RecipeError, match=message):
            build_stage("generate", "weather", options)
