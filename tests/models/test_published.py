"""The published embedders: each name is one of its library's, and each kind of network answers as its library does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from augforge.models import MODELS, find_model
from augforge.models.hub import open_clip_name, open_clip_weights, repository_of
from augforge.models.loading import load_embedder
from augforge.models.published import APPLE, DINOV3, EMBEDDERS
from augforge.models.vision import transformers_vectors
from tests.data.test_preprocessing import photo
from tests.models.test_vision import CROP, LAYERS, PATCHES, SQUASH, save

LICENCES = {"dinov3-license": DINOV3, "apache-2.0": "Apache-2.0", "apple-ascl": APPLE}
"""timm's words for them. Apple has put AIMv2 under the other of its two licences since timm took its weights over."""
TIMM = [row for row in EMBEDDERS if row.backend == "timm"]
OPEN_CLIP = [row for row in EMBEDDERS if row.backend == "open_clip"]
WIDTH = 16


@pytest.fixture(scope="module")
def images():
    return [photo(60 + 7 * n, 90 - 5 * n, n) for n in range(5)]


def name_of(row):
    return row.name


def assert_alike(found, expected):
    """Rows (n, d) of unit length are the same, but for what another rounding of resized pixels makes of them."""
    assert found.shape == expected.shape and (found * expected).sum(axis=1).min() > 1 - 1e-4


@pytest.mark.parametrize("row", OPEN_CLIP, ids=name_of)
def test_open_clip_has_weights_of_every_name_and_makes_of_them_what_the_table_says(row):
    import open_clip

    architecture, _, weights = row.location.partition("/")
    assert (architecture, weights) in open_clip.list_pretrained()
    config = open_clip.get_model_config(architecture)
    assert (row.width, row.native) == (config["embed_dim"], config["vision_cfg"]["image_size"])
    assert open_clip_weights()[open_clip_name(row.location)].startswith("timm/")


@pytest.mark.parametrize("row", TIMM, ids=name_of)
def test_timm_has_weights_of_every_name_and_makes_of_them_what_the_table_says(row):
    import timm

    name = row.location.removeprefix("hub:timm/")
    assert name in timm.list_pretrained()
    facts = timm.models.get_pretrained_cfg(name).to_dict()
    assert "hub:" + facts["hf_hub_id"] == row.location and facts["input_size"] == (3, row.native, row.native)
    assert LICENCES[facts["license"]] == row.licence
    with torch.device("meta"):
        assert timm.create_model(name, num_classes=0).num_features == row.width


def test_the_table_has_every_name_once_with_its_terms():
    assert len({row.name for row in EMBEDDERS}) == len({row.location for row in EMBEDDERS}) == len(EMBEDDERS)
    for row in EMBEDDERS:
        model = MODELS[row.name]
        assert (model.licence, model.native, model.weights) == (row.licence, row.native, row.weights)
        assert find_model(row.name, "image-embedding") is model and repository_of(model.location)
        assert (model.backend_for("image-text") is not None) == (row.backend == "open_clip")


CLIPS = {
    "siglip2": (
        {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", "image_size": 32},
        {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}},
        {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
        {"init_logit_bias": -10},
    ),
    "pe-core": (
        {"timm_model_name": "test_vit4", "timm_pool": "map", "timm_proj": None, "image_size": 32},
        {},
        {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"},
        {},
    ),
    "mobileclip2": (
        {"timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": None, "image_size": 32},
        {"no_causal_mask": True},
        {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear", "resize_mode": "shortest"},
        {},
    ),
}
"""The towers, pooling, projection and preprocessing of the published ones, small."""


def clip_folder(folder: Path, kind: str) -> Path:
    import open_clip
    from safetensors.torch import save_file

    vision, text, preprocess, more = CLIPS[kind]
    words = {"context_length": 16, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 1}
    width = {"siglip2": 64}.get(kind, WIDTH)  # without a projection it is the width of the tower
    config = {"embed_dim": width, "vision_cfg": vision, "text_cfg": words | text, **more}
    torch.manual_seed(0)
    folder.mkdir()
    save_file(open_clip.model.CustomTextCLIP(**config).state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {**config, "custom_text": True}, "preprocess_cfg": preprocess})
    )
    return folder


@pytest.mark.parametrize("kind", CLIPS)
def test_towers_of_timm_in_open_clip_answer_as_in_open_clip(kind, tmp_path, images):
    import open_clip

    folder = clip_folder(tmp_path / "clip", kind)
    net, _, shown = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tower = load_embedder(find_model(str(folder), "image-text"), "cpu")
    words = ["a photo of a cat", "a dog"]
    with torch.inference_mode():
        seen = net.eval().encode_image(torch.stack([shown(image) for image in images]), normalize=True).numpy()
        said = net.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(words), normalize=True).numpy()
    np.testing.assert_allclose(tower.embed_images(images), seen, atol=1e-5)
    np.testing.assert_allclose(tower.embed_texts(words), said, atol=1e-5)
    ready = np.stack([tower.preprocessing.resize_and_crop(image) for image in images])
    assert_alike(tower.embed_preprocessed(ready), seen)
    assert np.abs(seen[0] - seen[1]).max() > 1e-2 and np.abs(said[0] - said[1]).max() > 1e-3
    mean, std, resize = CLIPS[kind][2]["mean"], CLIPS[kind][2]["std"], CLIPS[kind][2]["resize_mode"]
    assert tower.preprocessing.mean == tuple(mean) and tower.preprocessing.std == tuple(std)
    assert (tower.preprocessing.resize is None) == (resize == "squash")


TINY = {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}
NETWORKS = {
    "dinov2": ("vit_small_patch14_reg4_dinov2", {**TINY, "img_size": 28}, 28, "token"),
    "dinov3": ("vit_small_patch16_dinov3", TINY, 32, "avg"),
    "aimv2": ("aimv2_large_patch14_224", {**TINY, "img_size": 28}, 28, "avg"),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_of_timm_answer_as_in_timm_and_pool_as_their_class_does(kind, tmp_path, images):
    import timm

    name, small, side, pool = NETWORKS[kind]
    torch.manual_seed(0)
    overlay = {"input_size": (3, side, side)}
    net = timm.create_model(name, **small, num_classes=0, pretrained_cfg_overlay=overlay).eval()
    assert net.global_pool == pool
    timm.models.save_for_hf(net, tmp_path / "timm", model_args=small, safe_serialization=True)
    tower = load_embedder(find_model(str(tmp_path / "timm"), "image-embedding"), "cpu")
    facts = timm.data.resolve_model_data_config(net)
    shown = timm.data.create_transform(**facts)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(net(torch.stack([shown(image) for image in images])), dim=-1).numpy()
    found = tower.embed_images(images)
    assert_alike(found, expected)
    assert found.shape == (5, 32) and np.abs(found[0] - found[1]).max() > 1e-2
    assert tower.preprocessing.size == side and tower.preprocessing.mean == tuple(net.pretrained_cfg["mean"])


def dinov3(folder):
    from transformers import DINOv3ViTConfig, DINOv3ViTModel
    from transformers.models.dinov3_vit import DINOv3ViTImageProcessor

    net = DINOv3ViTModel(DINOv3ViTConfig(**PATCHES, num_register_tokens=2))
    return save(folder, net, DINOv3ViTImageProcessor(size=SQUASH["size"]))


def aimv2(folder):
    from transformers import Aimv2VisionConfig, Aimv2VisionModel, CLIPImageProcessor

    return save(folder, Aimv2VisionModel(Aimv2VisionConfig(**PATCHES, use_head=False)), CLIPImageProcessor(**CROP))


def siglip(folder):
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    text = {**LAYERS, "vocab_size": 99, "max_position_embeddings": 16, "projection_size": 32}
    return save(
        folder,
        SiglipModel(SiglipConfig(text_config=text, vision_config=PATCHES)),
        SiglipImageProcessor(size=SQUASH["size"]),
    )


WANTED = {
    "dinov3": (dinov3, "DINOv3ViTModel", lambda net, seen: net(pixel_values=seen).last_hidden_state[:, 0]),
    "aimv2": (aimv2, "Aimv2VisionModel", lambda net, seen: net(pixel_values=seen).last_hidden_state.mean(dim=1)),
    "siglip": (siglip, "SiglipModel", lambda net, seen: net.vision_model(pixel_values=seen).pooler_output),
}


@pytest.mark.parametrize("kind", WANTED)
def test_networks_of_transformers_pool_as_published(kind, tmp_path, images):
    import transformers

    make, name, ask = WANTED[kind]
    torch.manual_seed(0)
    folder = make(tmp_path / "model")
    net = getattr(transformers, name).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        seen = processor(images=images, return_tensors="pt")["pixel_values"]
        expected = torch.nn.functional.normalize(ask(net, seen), dim=-1).numpy()
    found = load_embedder(find_model(str(folder), "image-embedding"), "cpu").embed_images(images)
    assert_alike(found, expected)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_the_first_patch_of_a_network_without_a_class_token_is_not_taken_for_the_picture():
    from transformers import Aimv2VisionConfig, Aimv2VisionModel

    torch.manual_seed(0)
    net = Aimv2VisionModel(Aimv2VisionConfig(**PATCHES, use_head=False)).eval()
    one = torch.zeros(1, 3, 32, 32)
    other = one.clone()
    other[:, :, 24:, 24:] = 1.0  # the last patch alone differs
    with torch.inference_mode():
        apart = transformers_vectors(net, one, True) - transformers_vectors(net, other, True)
        mean = net(pixel_values=one).last_hidden_state.mean(dim=1)
    assert apart.abs().max() > 1e-3
    torch.testing.assert_close(transformers_vectors(net, one, True), mean)
