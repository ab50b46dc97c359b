"""ImageReward: the published names, and a score that follows from an image and its prompt alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.image_reward import MEAN, STD, Reward
from augforge.models.networks.image_reward import image_reward, renamed
from tests.models.requests import picture
from tests.tiny import save_tiny_reward

WORDS = ("a cat", "a dog on a boat", "x", "a cat")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_reward(tmp_path_factory.mktemp("reward") / "model")


@pytest.fixture(scope="module")
def reward(folder: Path) -> Reward:
    return Reward(find_model(str(folder), "image-reward"), "cpu")


def test_every_published_tensor_has_one_place_and_none_is_left(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    own = renamed(weights)
    net = image_reward(weights, (3, 2))
    assert set(own) == set(net.state_dict()) and len(own) == len(weights) - 5
    assert {
        name: next(found for found in own if own[found] is tensor)
        for name, tensor in weights.items()
        if name.startswith("blip.visual_encoder.blocks") and name.endswith("weight")
    } == {
        "blip.visual_encoder.blocks.0.attn.qkv.weight": "vision.encoder.layers.0.self_attn.qkv.weight",
        "blip.visual_encoder.blocks.0.attn.proj.weight": "vision.encoder.layers.0.self_attn.projection.weight",
        "blip.visual_encoder.blocks.0.mlp.fc1.weight": "vision.encoder.layers.0.mlp.fc1.weight",
        "blip.visual_encoder.blocks.0.mlp.fc2.weight": "vision.encoder.layers.0.mlp.fc2.weight",
        "blip.visual_encoder.blocks.0.norm1.weight": "vision.encoder.layers.0.layer_norm1.weight",
        "blip.visual_encoder.blocks.0.norm2.weight": "vision.encoder.layers.0.layer_norm2.weight",
    }
    with pytest.raises(KeyError, match=r"no tensor of ImageReward is called 'blip\.strange'"):
        renamed({**weights, "blip.strange": torch.zeros(1)})


def test_the_score_is_what_the_equations_of_blip_come_to(folder: Path, reward: Reward) -> None:
    """Written out once more, from the published tensors and names alone."""
    w = {name: value.double() for name, value in load_file(folder / "model.safetensors").items()}
    image, prompt = picture(3), "a dog"
    tokens = [2, 5, 8, 5 + 26 + 14, 5 + 26 + 6, 3]  # [CLS] a d ##o ##g [SEP]
    pixels = (np.asarray(image) / 255 - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    x = torch.tensor(pixels).permute(2, 0, 1)[None]

    def linear(name: str, value: torch.Tensor) -> torch.Tensor:
        return value @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normed(name: str, value: torch.Tensor, eps: float) -> torch.Tensor:
        return torch.nn.functional.layer_norm(value, value.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
        parts = [each.unflatten(-1, (heads, -1)).transpose(0, 1) for each in (q, k, v)]
        shares = (parts[0] @ parts[1].transpose(1, 2) / parts[0].shape[-1] ** 0.5).softmax(-1)
        return (shares @ parts[2]).transpose(0, 1).flatten(1)

    gelu, eye = torch.nn.functional.gelu, "blip.visual_encoder"
    patches = torch.nn.functional.conv2d(x, w[f"{eye}.patch_embed.proj.weight"], w[f"{eye}.patch_embed.proj.bias"], 8)
    seen = torch.cat([w[f"{eye}.cls_token"][0], patches[0].flatten(1).T]) + w[f"{eye}.pos_embed"][0]
    q, k, v = linear(f"{eye}.blocks.0.attn.qkv", normed(f"{eye}.blocks.0.norm1", seen, 1e-6)).chunk(3, dim=-1)
    seen = seen + linear(f"{eye}.blocks.0.attn.proj", attended(q, k, v, 3))
    inner = gelu(linear(f"{eye}.blocks.0.mlp.fc1", normed(f"{eye}.blocks.0.norm2", seen, 1e-6)))
    seen = normed(f"{eye}.norm", seen + linear(f"{eye}.blocks.0.mlp.fc2", inner), 1e-6)
    pen, layer = "blip.text_encoder", "blip.text_encoder.encoder.layer.0"
    told = w[f"{pen}.embeddings.word_embeddings.weight"][tokens]
    told = told + w[f"{pen}.embeddings.position_embeddings.weight"][: len(tokens)]
    told = normed(f"{pen}.embeddings.LayerNorm", told, 1e-12)
    for part, other in (("attention", None), ("crossattention", seen)):
        keys = told if other is None else other
        q, k, v = (
            linear(f"{layer}.{part}.self.{n}", of) for n, of in (("query", told), ("key", keys), ("value", keys))
        )
        told = normed(
            f"{layer}.{part}.output.LayerNorm",
            linear(f"{layer}.{part}.output.dense", attended(q, k, v, 2)) + told,
            1e-12,
        )
    inner = gelu(linear(f"{layer}.intermediate.dense", told))
    told = normed(f"{layer}.output.LayerNorm", linear(f"{layer}.output.dense", inner) + told, 1e-12)[0]
    for number in (0, 2, 4):
        told = linear(f"mlp.layers.{number}", told)
    assert reward.score([image], [prompt]) == pytest.approx((told.numpy() - MEAN) / STD, abs=2e-4)


def test_a_score_depends_on_its_image_and_prompt_alone(reward: Reward) -> None:
    images = [picture(number) for number in (0, 1, 2, 3)]
    together = reward.score(images, WORDS)
    assert together == pytest.approx([reward.score([i], [w])[0] for i, w in zip(images, WORDS, strict=True)], abs=1e-5)
    assert len(set(np.round(together, 4))) == 4
    assert abs(reward.score([images[0]], ["a dog"])[0] - together[0]) > 1e-3
    many = reward.score(images * 9, WORDS * 9)
    assert many == pytest.approx(np.tile(together, 9), abs=1e-5)
    assert reward.score([], []).shape == (0,)


def test_a_directory_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    lacking = shutil.copytree(folder, tmp_path / "lacking")
    weights = load_file(folder / "model.safetensors")
    del weights["blip.visual_encoder.norm.weight"]
    save_file(weights, lacking / "model.safetensors")
    with pytest.raises(ModelError, match=r"cannot be loaded: (.|\n)*post_layernorm"):
        Reward(find_model(str(lacking), "image-reward"), "cpu")
    (lacking / "model.safetensors").rename(lacking / "ImageReward.pt")
    with pytest.raises(ModelError, match="pickled"):
        Reward(find_model(str(lacking), "image-reward"), "cpu")


def test_mean_and_deviation_can_be_others(folder: Path, tmp_path: Path, reward: Reward) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "config.json").write_text(json.dumps({"model_type": "image-reward", "heads": [3, 2], "mean": 0, "std": 1}))
    plain = Reward(find_model(str(other), "image-reward"), "cpu").score([picture(1)], ["a cat"])
    assert (plain - MEAN) / STD == pytest.approx(reward.score([picture(1)], ["a cat"]), abs=1e-5)
