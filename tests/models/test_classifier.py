from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.batches import BATCH, in_batches
from augforge.models.classifier import Classifier, View, timm_view
from augforge.models.loading import classes_of
from tests.training.test_classifier import COLOURS, colours, learn, probe, tiny

VIEW = View(32, 36, "bicubic", (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))


def save(training_task, folder, **changes):
    """A model directory with what a classifier needs of it."""
    folder.mkdir()
    result = training_task.result()
    save_file(dict(result.weights), folder / "model.safetensors")
    record = {"format": 1, "task": "classification", "facts": dict(result.facts), **changes}
    seal(folder, record)
    return find_model(str(folder), record["task"])


def seal(folder, record):
    """The record of a model, with the digest of its weights."""
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**record, "weights": digest}))


def images_of(pictures):
    return [Image.fromarray(pictures.image(i)) for i in range(len(pictures))]


@pytest.fixture(scope="module")
def trained():
    """A network and a probe, both a little trained."""
    train, held_out = colours(4), colours(25, seed=1)
    courses = {
        "network": tiny(train, held_out, rate=3e-3),
        "probe": probe(train, held_out, classes=sorted(COLOURS), steps=20),
    }
    for training_task in courses.values():
        learn(training_task, 0, 10)
    return courses, images_of(held_out)


@pytest.mark.parametrize("kind", ["network", "probe"])
def test_it_answers_as_the_course_that_trained_it(trained, kind, tmp_path):
    courses, images = trained
    classifier = Classifier(save(courses[kind], tmp_path / "model"), "cpu")
    expected = courses[kind].logits(range(len(images)))
    found = classifier.logits(images)
    assert found.dtype == np.float32
    assert found.shape == (75, 3)
    assert np.ptp(found, axis=0).min() > 0.1  # they are not all the same
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, classifier.embed_images(images))
    assert classifier.classes == ["blue", "green", "red"]


@pytest.mark.parametrize("kind", ["network", "probe"])
def test_the_neighbours_of_an_image_do_not_matter(trained, kind, tmp_path):
    courses, images = trained
    classifier = Classifier(save(courses[kind], tmp_path / "model"), "cpu")
    together = classifier.logits(images)
    order = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_allclose(classifier.logits([images[i] for i in order]), together[order], atol=1e-5)
    for index in (0, BATCH - 1, BATCH, len(images) - 1):
        np.testing.assert_allclose(classifier.logits([images[index]])[0], together[index], atol=1e-5)
    assert classifier.logits([]).shape == (0, 3)


def test_a_network_left_in_training_mode_would_be_noticed(trained):
    """Batch norm in training mode lets neighbours in: the test above is able to fail."""
    training_task, images = trained[0]["network"], trained[1]
    inputs = training_task.inputs.fixed(range(len(images)), True)
    training_task.net.train()
    together = in_batches(training_task.net, lambda few: inputs[list(few)], range(len(images)))
    alone = in_batches(training_task.net, lambda few: inputs[list(few)], [0])
    assert np.abs(together[0] - alone[0]).max() > 1e-2


def test_provenance_names_the_weights_the_embedder_and_the_machine(trained, tmp_path):
    courses, _ = trained
    network = Classifier(save(courses["network"], tmp_path / "network"), "cpu").facts
    assert len(network["model"]["digest"]) == 64
    assert (network["device"], network["dtype"]) == ("cpu", "float32")
    assert "timm" in network["versions"]
    assert Classifier(save(courses["probe"], tmp_path / "probe"), "cpu").facts["embedder"]["name"] == "builtin-clip"


def test_classes_are_known_without_loading_the_network(trained, tmp_path):
    row = save(trained[0]["network"], tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    assert classes_of(row) == ["blue", "green", "red"]


def test_a_probe_on_another_embedder_is_refused(trained, tmp_path):
    facts = dict(trained[0]["probe"].result().facts)
    facts["embedder"] = {**facts["embedder"], "digest": "0" * 64}
    with pytest.raises(ModelError, match="another 'builtin-clip'"):
        Classifier(save(trained[0]["probe"], tmp_path / "model", facts=facts), "cpu")


def test_a_model_for_something_else_is_refused(trained, tmp_path):
    row = save(trained[0]["network"], tmp_path / "model", task="night")
    with pytest.raises(ModelError, match="a model for night, no classifier"):
        classes_of(row)
    with pytest.raises(ModelError, match="no classifier"):
        Classifier(row, "cpu")
    with pytest.raises(ModelError, match="no directory with a classifier"):
        classes_of(find_model("sd15", "text-to-image"))


@pytest.mark.parametrize("missing", ["architecture", "classes", "size", "mean"])
def test_a_record_without_what_is_needed_is_said_to_be_damaged(trained, missing, tmp_path):
    facts = {name: value for name, value in trained[0]["network"].result().facts.items() if name != missing}
    with pytest.raises(ModelError, match=r"damaged|does not name its classes"):
        Classifier(save(trained[0]["network"], tmp_path / "model", facts=facts), "cpu")


def test_weights_of_another_network_are_said_to_be_damaged(trained, tmp_path):
    facts = dict(trained[0]["network"].result().facts) | {"architecture": "timm:test_efficientnet"}
    with pytest.raises(ModelError, match="damaged"):
        Classifier(save(trained[0]["network"], tmp_path / "model", facts=facts), "cpu")


def test_damaged_weights_are_never_unpickled(trained, tmp_path):
    row = save(trained[0]["network"], tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x80\x04\x95cposix\nsystem\n")
    with pytest.raises(ModelError, match="is not what was trained"):
        Classifier(row, "cpu")
    seal(tmp_path / "model", json.loads((tmp_path / "model" / "model.json").read_text()))
    with pytest.raises(ModelError, match="cannot be read"):
        Classifier(row, "cpu")


@pytest.mark.parametrize("sides", [(64, 64), (50, 30), (30, 50), (8, 200), (32, 32)])
def test_the_centre_is_the_centre(sides):
    """A picture whose red grows to the right and whose green grows downwards keeps its middle in the middle."""
    across, down = np.meshgrid(np.linspace(0, 255, sides[0]), np.linspace(0, 255, sides[1]))
    image = Image.fromarray(np.stack([across, down, 0 * down], -1).astype(np.uint8))
    centre = np.asarray(VIEW.centre(image)).astype(float)
    assert centre.shape == (32, 32, 3)
    np.testing.assert_allclose(centre[..., :2].mean((0, 1)), 127, atol=3)
    spread = np.ptp(centre[..., 0]) / 255 * min(sides[0] * 36 / min(sides), 1e9)
    assert spread == pytest.approx(32, abs=4)  # 32 of the resized picture's columns are seen


def test_numbers_are_normalised_channel_by_channel():
    image = Image.new("RGB", (32, 32), (255, 0, 51))
    found = VIEW.numbers(image)
    assert found.shape == (3, 32, 32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 5, 7], [2.5, -1.6, -0.2], atol=1e-6)


def test_random_crops_stay_inside_and_are_mirrored_half_the_time():
    random = np.random.default_rng(0)
    image = Image.fromarray(np.tile(np.linspace(20, 235, 60).astype(np.uint8)[None, :, None], (40, 1, 3)))
    crops = [np.asarray(VIEW.random(image, random)).astype(float) for _ in range(300)]
    assert all(crop.shape == (32, 32, 3) for crop in crops)
    assert min(crop.min() for crop in crops) >= 15  # black would have come from outside
    rising = np.mean([crop[..., -1, 0].mean() > crop[..., 0, 0].mean() for crop in crops])
    assert 0.42 < rising < 0.58
    seen = np.array([np.ptp(crop[..., 0].mean(0)) / 215 for crop in crops])  # the share of the width that is seen
    assert seen.min() > 0.45
    assert seen.max() <= 1.01
    assert seen.std() > 0.05


def test_the_view_of_a_network_is_timms_own_unless_a_size_is_given():
    import timm

    net = timm.create_model("resnet10t", num_classes=2)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert timm_view(net, None) == View(176, 201, "bicubic", mean, std)
    assert timm_view(net, 64) == View(64, 73, "bicubic", mean, std)


def test_the_centre_of_a_strip_is_that_of_the_whole_picture(monkeypatch):
    from augforge.models import classifier

    view = classifier.View(24, 32, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    strip = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 40, 3), dtype=np.uint8))
    whole = np.asarray(view.centre(strip), dtype=int)
    monkeypatch.setattr(classifier, "MOST_PIXELS", 1)
    assert np.abs(np.asarray(view.centre(strip), dtype=int) - whole).max() <= 1
