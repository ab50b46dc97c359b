"""Feature maps: those that hooks on the very layers see, for every library, without class and register tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.patches import PatchNetwork
from tests.data.test_preprocessing import photo
from tests.models.test_vision import CASES, timm_folder  # noqa: F401  # a fixture

IMAGES = [photo(60 + 7 * n, 90 - 5 * n, n) for n in range(10)]


def opened(name, layers=None):
    return PatchNetwork(find_model(str(name), "image-embedding"), "cpu", layers)


def seen_by(network):
    return np.stack([network.preprocessing.resize_and_crop(image) for image in IMAGES])


def hooked(layer, run):
    """What a layer gives while `run` runs."""
    caught = []
    handle = layer.register_forward_hook(lambda module, given, output: caught.append(output))
    run()
    handle.remove()
    found = caught[0]
    return found[0] if isinstance(found, tuple) else found


def as_map(tokens, side):
    return tokens[:, -side * side :].transpose(1, 2).reshape(len(tokens), -1, side, side)


@pytest.mark.parametrize("case", CASES)
def test_transformers_layers(case, tmp_path):
    torch.manual_seed(0)
    network = opened(CASES[case][0](tmp_path / "model"))
    maps = network.maps(seen_by(network))
    assert [tuple(layer.shape) for layer in maps] == [(10, 32, 4, 4)] * 2
    alone = network.maps(seen_by(network)[7:8])
    assert all(torch.allclose(layer[7:8], one, atol=1e-5) for layer, one in zip(maps, alone, strict=True))


def test_registers_and_the_class_token_are_left_out(tmp_path):
    from transformers import BitImageProcessor, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    config = Dinov2WithRegistersConfig(
        hidden_size=32, num_attention_heads=4, num_hidden_layers=3, image_size=32, patch_size=8, num_register_tokens=4
    )
    torch.manual_seed(0)
    net = Dinov2WithRegistersModel(config).eval()
    net.save_pretrained(tmp_path)
    BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    network = opened(tmp_path, [2])
    (layer,) = network.maps(seen_by(network))
    batch = network.preprocessing.normalize(seen_by(network), "cpu")
    states = net(pixel_values=batch, output_hidden_states=True).hidden_states[2]
    assert torch.allclose(layer, as_map(states[:, 5:], 4), atol=1e-5)
    assert not torch.allclose(layer, as_map(states[:, 1:17], 4), atol=1e-2)  # with the registers for patches


def test_open_clip_layers(tiny_clip):
    from augforge.models.vision import ClipTower

    network = opened(tiny_clip, [1])
    (layer,) = network.maps(seen_by(network))
    tower = ClipTower(find_model(str(tiny_clip), "image-embedding"), "cpu")
    batch = network.preprocessing.normalize(seen_by(network), "cpu")
    with torch.inference_mode():
        expected = hooked(tower.network.transformer.resblocks[0], lambda: tower.network(batch))
    assert torch.allclose(layer, as_map(expected, 4), atol=1e-5)


def test_timm_layers(timm_folder):  # noqa: F811
    import timm

    network = opened(timm_folder, [2])
    (layer,) = network.maps(seen_by(network))
    net = timm.create_model(f"local-dir:{timm_folder}", pretrained=True, num_classes=0).eval()
    batch = network.preprocessing.normalize(seen_by(network), "cpu")
    with torch.inference_mode():
        expected = hooked(net.blocks[1], lambda: net(batch))
    assert torch.allclose(layer, as_map(expected, layer.shape[-1]), atol=1e-5)


def test_of_a_cnn_the_maps_with_large_cells():
    network = opened("builtin-clip")
    sizes = [layer.shape[-1] for layer in network.maps(seen_by(network))]
    assert sizes == [8, 4, 2]


def test_layers_are_spread_evenly_with_the_last():
    network = object.__new__(PatchNetwork)
    assert network._chosen(24, None, None) == [5, 11, 17, 23]  # as published
    assert network._chosen(12, None, None) == [2, 5, 8, 11]
    assert network._chosen(2, None, None) == [0, 1]


def test_a_layer_that_is_not_there_is_refused(tiny_clip):
    with pytest.raises(ModelError, match="has 2 layers, and no layer 3"):
        opened(tiny_clip, [1, 3])
