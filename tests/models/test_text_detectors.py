"""Text detectors: the share of a picture over each certainty, as the network of transformers says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.text_detectors import TextDetector, shares_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filters.text import Text
from tests.conftest import write_images
from tests.data.test_preprocessing import photo
from tests.saved import saved
from tests.stages.filters.galleries import inputs
from tests.tiny import save_tiny_text_detector


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_text_detector(tmp_path_factory.mktemp("models") / "detector")


def test_known_shares():
    likely = np.array([[0.05, 0.25], [0.35, 0.95]])
    assert shares_of(likely) == pytest.approx([0.75, 0.75, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25])


def test_the_map_is_that_of_transformers_in_the_size_of_each_picture(folder):
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    images = [photo(60, 90, 1), photo(130, 40, 2)]
    net, processor = (
        AutoModelForObjectDetection.from_pretrained(folder).eval(),
        AutoImageProcessor.from_pretrained(folder),
    )
    found = TextDetector(find_model(str(folder), "text-detection"), "cpu").embed_images(images)
    for image, shares in zip(images, found, strict=True):
        with torch.inference_mode():
            likely = net(pixel_values=processor(images=image, return_tensors="pt")["pixel_values"])
        expected = shares_of(likely.last_hidden_state[0, 0].numpy())
        assert shares == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("logit", "text"), [(-9.0, 0.0), (9.0, 1.0), (float(np.log(0.45 / 0.55)), 1.0)])
def test_a_rigged_detector_sees_text_everywhere_or_nowhere(tmp_path, folder, logit, text):
    import shutil

    rigged = tmp_path / "rigged"
    shutil.copytree(folder, rigged)
    weights = load_file(rigged / "model.safetensors")
    weights["head.conv_final.weight"].zero_()
    weights["head.conv_final.bias"].fill_(logit)
    save_file(weights, rigged / "model.safetensors", metadata={"format": "pt"})
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 2, "dog": 1}))),)
    stage = build_stage("filter", "text", {"model": str(rigged), "max": 1})
    run(Recipe("x", 1, source, (stage,)), tmp_path / "out", device="cpu")
    assert [scores["text"] for scores in saved(tmp_path / "out")["scores"]] == [text] * 3


def test_the_threshold_chooses_among_what_is_stored():
    stored = inputs([shares_of(np.array([[0.05, 0.25], [0.35, 0.95]]))], [0])
    assert [Text(model="m", threshold=t).compare(stored)["text"][0] for t in (0.1, 0.3, 0.9)] == [0.75, 0.5, 0.25]
    with pytest.raises(ValueError, match="is no tenth"):
        Text(model="m", threshold=0.35)
    stays, _ = Text(model="m").decide({"text": np.array([0.0, 0.01, 0.02])}, list("abc"), np.zeros(3, int), "all")
    assert stays.tolist() == [True, True, False]


def test_what_is_no_detector_is_refused(tmp_path, folder):
    from tests.models.test_vision import vit

    with pytest.raises(ModelError, match="not for text-detection"):
        find_model(str(vit(tmp_path / "vit")), "text-detection")
    with pytest.raises(ModelError, match="not for image-embedding"):
        find_model(str(folder), "image-embedding")
