"""SSCD: a ResNet under torchvision's names, a generalised mean and a linear layer; whole runs find planted copies."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.models.networks.copies import copy_detector, generalised_mean
from tests.data.test_preprocessing import photo


def weights_of(net: nn.Module) -> dict[str, torch.Tensor]:
    """As SSCD's checkpoints name them."""
    return {f"backbone.{name}": tensor.clone() for name, tensor in net.state_dict().items()}


def torchvision_net(deep: bool) -> nn.Module:
    """torchvision's ResNet, of one block a stage, as SSCD uses it: its pooling is replaced, its last layer kept."""
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    class Pool(nn.Module):
        def forward(self, maps):
            return nn.functional.avg_pool2d(maps.clamp(min=1e-6).pow(3), maps.shape[2:]).pow(1 / 3)

    torch.manual_seed(0)
    net = ResNet(Bottleneck if deep else BasicBlock, [1, 1, 1, 1], num_classes=12)
    net.avgpool = Pool()
    for module in net.modules():  # running statistics that are not those of a fresh norm
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


@pytest.mark.parametrize("deep", [False, True])
def test_the_descriptor_is_that_of_torchvisions_network(deep):
    net = torchvision_net(deep)
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        found = copy_detector(weights_of(net), 3.0).eval()(pictures)
        torch.testing.assert_close(found, net(pictures), atol=1e-4, rtol=1e-4)
        assert (copy_detector(weights_of(net), 1.0).eval()(pictures) - found).abs().max() > 1e-3


def test_the_generalised_mean_is_between_the_mean_and_the_largest():
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert generalised_mean(maps, 1).item() == pytest.approx(2.5)
    assert generalised_mean(maps, 3).item() == pytest.approx((100 / 4) ** (1 / 3))
    assert generalised_mean(maps, 60).item() == pytest.approx(4, abs=0.1)
    assert generalised_mean(-maps, 3).item() == pytest.approx(1e-6, rel=1e-3)


def tiny(folder, **facts):
    from timm.models.resnet import BasicBlock, ResNet

    torch.manual_seed(0)
    net = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=16, channels=(8, 8, 16, 16))
    folder.mkdir()
    save_file(weights_of(net), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "sscd", "size": 64, **facts}))
    return folder


def test_a_directory_embeds_images_squashed_to_its_side(tmp_path):
    tower = load_embedder(find_model(str(tiny(tmp_path / "sscd")), "image-embedding"), "cpu")
    images = [photo(60, 90, 1), photo(90, 60, 2)]
    net = copy_detector(load_file(tmp_path / "sscd" / "model.safetensors"), 3.0).eval()
    seen = np.stack([np.asarray(image.resize((64, 64), 2), dtype=np.float32) / 255 for image in images])
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    with torch.inference_mode():
        said = net(torch.from_numpy(((seen - mean) / std).transpose(0, 3, 1, 2)).float())
    expected = nn.functional.normalize(said, dim=-1).numpy()
    np.testing.assert_allclose(tower.embed_images(images), expected, atol=1e-4)


def test_other_networks_are_refused(tmp_path):
    folder = tiny(tmp_path / "sscd")
    weights = load_file(folder / "model.safetensors")
    save_file({name: w for name, w in weights.items() if "fc." not in name}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_embedder(find_model(str(folder), "image-embedding"), "cpu")
    assert "torchvision's names" in caught.value.hint
    save_file({**weights, "backbone.more": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_embedder(find_model(str(folder), "image-embedding"), "cpu")


def test_it_is_an_embedder_like_others(tmp_path):
    row = find_model(str(tiny(tmp_path / "sscd")), "image-embedding")
    assert row.backends == ("sscd",)
    with pytest.raises(ModelError, match="not for image-text"):
        find_model(str(tmp_path / "sscd"), "image-text")
