"""The attention of vision transformers: as their own library computes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.attention import open_attention
from tests.data.test_preprocessing import photo
from tests.models.test_vision import PATCHES, SQUASH, clip_vision, dinov2, save
from tests.tiny import save_tiny_vit


@pytest.fixture(scope="module")
def images():
    return [photo(60 + 7 * n, 90 - 5 * n, n) for n in range(3)]


def vit(folder):
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(0)
    return save(folder, ViTModel(ViTConfig(**PATCHES, initializer_range=0.5)), ViTImageProcessor(size=SQUASH["size"]))


def opened(folder):
    return open_attention(find_model(str(folder), "attention"), "cpu")


def attended(folder, images):
    attention = opened(folder)
    return np.stack([attention.attend(image) for image in images])


def last_attention(net, batch):
    """(n, heads, tokens, tokens) of the last block of a timm network, from its queries and keys."""
    tokens = net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(batch))))
    for block in net.blocks[:-1]:
        tokens = block(tokens)
    block = net.blocks[-1]
    n, count, width = tokens.shape
    heads = block.attn.num_heads
    parts = block.attn.qkv(block.norm1(tokens)).reshape(n, count, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    return (parts[0] @ parts[1].transpose(-2, -1) / (width // heads) ** 0.5).softmax(-1)


def squashed(images, mean, std):
    seen = [np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC), np.float32) / 255 for image in images]
    batch = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2)
    return (batch - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


@pytest.mark.parametrize("more", [{}, {"reg_tokens": 2}])
def test_timm_attention_is_that_of_queries_and_keys(tmp_path, images, more):
    import timm

    folder = save_tiny_vit(tmp_path / "vit", **more)
    net = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    config = timm.data.resolve_model_data_config(net)
    with torch.inference_mode():
        heads = last_attention(net, squashed(images, config["mean"], config["std"]))
    expected = heads[:, :, 0, 1 + more.get("reg_tokens", 0) :].mean(1).reshape(3, 4, 4).double().numpy()
    expected /= expected.sum(axis=(1, 2), keepdims=True)
    found = attended(folder, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.std() > 1e-3 and (found[0] != found[1]).any()


def test_transformers_attention_is_that_of_its_own_outputs(tmp_path, images):
    from transformers import ViTModel

    folder = vit(tmp_path / "vit")
    net = ViTModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        said = net(pixel_values=squashed_bilinear(images), output_attentions=True).attentions[-1]
    expected = said[:, :, 0, 1:].mean(1).reshape(3, 4, 4).double().numpy()
    expected /= expected.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(attended(folder, images), expected, atol=1e-4)


def squashed_bilinear(images):
    seen = [np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), np.float32) / 127.5 - 1 for image in images]
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("make", [vit, save_tiny_vit, dinov2, clip_vision])
def test_every_image_shares_out_one(tmp_path, images, make):
    found = attended(make(tmp_path / "model"), images)
    assert found.shape == (3, 4, 4) and (found >= 0).all()
    assert found.sum(axis=(1, 2)) == pytest.approx([1, 1, 1])
    assert opened(tmp_path / "model").facts["model"]["digest"]


def test_what_has_no_class_token_is_refused(tmp_path):
    import timm

    resnet = timm.create_model("test_resnet", num_classes=3)
    timm.models.save_for_hf(resnet, tmp_path / "resnet", safe_serialization=True)
    pooled = save_tiny_vit(tmp_path / "pooled", class_token=False, global_pool="avg")
    for folder in (tmp_path / "resnet", pooled):
        with pytest.raises(ModelError, match="no attention can be had of the model") as caught:
            opened(folder)
        assert "vit_" in caught.value.hint
    with pytest.raises(ModelError, match="not for attention"):
        find_model("builtin-clip", "attention")
