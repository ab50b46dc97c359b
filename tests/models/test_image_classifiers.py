"""Published image classifiers answer as in their library, and every stage that asks a classifier takes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.loading import classes_of, load_classifier
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.data.test_preprocessing import photo
from tests.models.test_vision import PATCHES, SQUASH, save
from tests.saved import saved

NAMES = ["clean", "watermark"]


@pytest.fixture(scope="module")
def images():
    return [photo(60 + 7 * n, 90 - 5 * n, n) for n in range(5)]


def vit_folder(folder):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(**PATCHES, id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
    return save(folder, ViTForImageClassification(config), ViTImageProcessor(size=SQUASH["size"]))


def timm_folder(folder):
    import timm

    torch.manual_seed(0)
    net = timm.create_model("test_vit", num_classes=2)
    timm.models.save_for_hf(net, folder, model_config={"label_names": NAMES}, safe_serialization=True)
    return folder


def of_transformers(folder, images):
    import transformers

    net = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return net(pixel_values=processor(images=images, return_tensors="pt")["pixel_values"]).logits


def of_timm(folder, images):
    import timm

    net = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    shown = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)
    return net(torch.stack([shown(image) for image in images]))


CASES = {"transformers": (vit_folder, of_transformers), "timm": (timm_folder, of_timm)}


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_library_and_classes_those_of_its_configuration(case, tmp_path, images):
    make, ask = CASES[case]
    folder = make(tmp_path / "model")
    row = find_model(str(folder), "classification")
    found = load_classifier(row, "cpu")
    with torch.inference_mode():
        expected = ask(folder, images).numpy()
    logits = found.embed_images(images)
    np.testing.assert_allclose(logits, expected, atol=2e-3)
    assert classes_of(row) == found.classes == NAMES and np.abs(logits[0] - logits[1]).max() > 1e-3
    np.testing.assert_array_equal(found.embed_images(images[3:4])[0], logits[3])


@pytest.mark.parametrize("case", CASES)
def test_such_a_classifier_still_embeds(case, tmp_path):
    assert find_model(str(CASES[case][0](tmp_path / "model")), "image-embedding")


def test_a_directory_without_a_head_is_no_classifier(tmp_path):
    from tests.models.test_vision import vit

    with pytest.raises(ModelError, match="not for classification"):
        find_model(str(vit(tmp_path / "bare")), "classification")


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = vit_folder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({n: w for n, w in weights.items() if "classifier" not in n}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(ModelError, match="tensors are missing"):
        load_classifier(find_model(str(folder), "classification"), "cpu")


def test_classes_without_names_are_refused(tmp_path):
    folder = vit_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "a", "7": "b"}}))
    with pytest.raises(ModelError, match="does not name its classes"):
        classes_of(find_model(str(folder), "classification"))


def test_a_run_judges_watermarks_with_it_and_refuses_a_class_that_it_lacks(tmp_path):
    folder = vit_folder(tmp_path / "model")
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 2}))),)
    stage = build_stage("filter", "watermark", {"model": str(folder), "max": 1})
    run(Recipe("x", 1, source, (stage,)), tmp_path / "out", device="cpu")
    data = saved(tmp_path / "out")
    logits = load_classifier(find_model(str(folder), "classification"), "cpu").embed_images(
        [image.convert("RGB") for image in data["image"]]
    )
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    assert [scores["watermark"] for scores in data["scores"]] == pytest.approx(expected.tolist(), abs=1e-5)
    with pytest.raises(ModelError, match="has no class 'logo'"):
        wrong = build_stage("filter", "watermark", {"model": str(folder), "label": "logo"})
        run(Recipe("x", 1, source, (wrong,)), tmp_path / "wrong", device="cpu")
