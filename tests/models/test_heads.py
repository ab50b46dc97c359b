"""Heads of linear layers: as torch computes them, in the order of their names, and nothing else is taken for one."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.heads import layers_of, load_head
from tests.stages.filters.galleries import directions

VECTORS = directions(9, 8)


def saved(path, net):
    save_file({name: tensor.numpy() for name, tensor in net.state_dict().items()}, path)
    return path


def published():
    """The layers of the improved aesthetic predictor, and of its variant with relu, small."""
    torch.manual_seed(0)
    linear = torch.nn.Linear
    sizes = [(8, 16), (16, 6), (6, 4), (4, 3), (3, 1)]
    plain = torch.nn.Sequential()
    for place, (taken, given) in zip((0, 2, 4, 6, 7), sizes, strict=True):  # the others are dropout
        plain.add_module(str(place), linear(taken, given))
    return torch.nn.ModuleDict({"layers": plain})


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_the_five_layers_answer_as_in_torch(tmp_path, activation):
    net = published()
    head = load_head(find_model(str(saved(tmp_path / "head.safetensors", net)), "score-head"), activation)
    between = torch.nn.ReLU() if activation == "relu" else torch.nn.Identity()
    *first, last = net["layers"]
    expected = torch.from_numpy(VECTORS)
    with torch.no_grad():
        for layer in first:
            expected = between(layer(expected))
        expected = last(expected)[:, 0].numpy()
    assert head.width == 8
    np.testing.assert_allclose(head.scores(VECTORS), expected, atol=1e-5)


def test_with_and_without_relu_are_different_heads(tmp_path):
    row = find_model(str(saved(tmp_path / "head.safetensors", published())), "score-head")
    assert np.abs(load_head(row).scores(VECTORS) - load_head(row, "relu").scores(VECTORS)).max() > 1e-3


def test_one_layer_is_a_product(tmp_path):
    weight = np.arange(8, dtype=np.float32)[None]
    save_file({"weight": weight, "bias": np.array([0.5], dtype=np.float32)}, tmp_path / "linear.safetensors")
    found = load_head(find_model(str(tmp_path), "score-head")).scores(np.eye(8, dtype=np.float32))
    assert found.tolist() == [number + 0.5 for number in range(8)]


def test_layer_10_comes_after_layer_9():
    tensors = {f"layers.{number}.weight": np.full((1, 1), number) for number in range(9, 12)}
    assert [weight.item() for weight, _ in layers_of(tensors)] == [9, 10, 11]


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"a.weight": np.ones((3, 2))}, "do not end in one number"),
        ({"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 4))}, "do not end in one number"),
        ({"norm.weight": np.ones(4)}, "no linear layers"),
        ({"0.weight": np.ones((1, 2)), "0.running_mean": np.ones(2)}, "what is 0.running_mean"),
        ({"weight": np.ones((1, 2)), "bias": np.ones(2)}, "bias has shape"),
        ({}, "no linear layers"),
    ],
)
def test_what_is_no_head_is_refused(tmp_path, tensors, why):
    save_file(tensors, tmp_path / "head.safetensors")
    with pytest.raises(ModelError, match=why):
        load_head(find_model(str(tmp_path / "head.safetensors"), "score-head"))


def test_a_pickled_head_is_refused(tmp_path):
    torch.save(published().state_dict(), tmp_path / "head.pth")
    with pytest.raises(ModelError, match=r"no \.safetensors file") as caught:
        load_head(find_model(str(tmp_path / "head.pth"), "score-head"))
    assert "run any code" in caught.value.hint
