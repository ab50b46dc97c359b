"""Models of depth: loaded by transformers from a directory, with tiny random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from augforge.data.ids import rng
from augforge.errors import ModelError
from augforge.models.depth import DepthEstimator
from augforge.models.find import find_model
from tests.tiny import save_tiny_depth


def photo():
    return Image.fromarray(rng(1, "photo").integers(0, 256, (40, 60, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_depth(tmp_path_factory.mktemp("depth"))


def test_a_relative_model_says_metres_between_near_and_far(folder):
    model = DepthEstimator(str(folder), "cpu")
    depth = model.depth(photo(), far=200.0)
    assert depth.shape == (40, 60) and not model.metric
    assert np.isclose(depth.min(), 3.0) and np.isclose(depth.max(), 200.0)
    assert (depth == DepthEstimator(str(folder), "cpu").depth(photo(), far=200.0)).all()
    assert model.facts["model"]["digest"] and model.facts["device"] == "cpu"


def test_what_it_finds_nearest_is_where_its_answer_is_largest(folder):
    model = DepthEstimator(str(folder), "cpu")
    answer = model._pipe(photo())["predicted_depth"].numpy()
    assert model.depth(photo(), far=200.0).argmin() == answer.argmax()


def test_a_metric_model_is_taken_at_its_word(folder, tmp_path):
    for name in ("model.safetensors", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "depth_estimation_type": "metric"}))
    model = DepthEstimator(str(tmp_path), "cpu")
    answer = model._pipe(photo())["predicted_depth"].numpy()
    assert model.metric and np.allclose(model.depth(photo(), far=1e9), answer.clip(0))
    middle = float(np.median(answer))
    assert model.depth(photo(), far=middle).max() <= middle


def test_other_directories_and_names_are_refused(tmp_path, folder):
    (tmp_path / "config.json").write_text('{"model_type": "vit", "architectures": ["ViTModel"]}')
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="cannot be loaded"):
        DepthEstimator(str(tmp_path), "cpu")
    with pytest.raises(ModelError, match="not for depth-estimation"):
        DepthEstimator("builtin-clip", "cpu")
    with pytest.raises(ModelError) as caught:
        find_model("no-such-depth", "depth-estimation")
    assert "depth-anything-v2-small" in caught.value.hint and "hub:owner/name" in caught.value.hint
