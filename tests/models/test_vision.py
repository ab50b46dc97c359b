"""Models that embed images: each answers as its own library would, whatever the neighbours of an image."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.models.vision import ClipTower, clip_preprocessing, model_folder, processor_preprocessing
from tests.data.test_preprocessing import photo

LAYERS = {"hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}
PATCHES = {**LAYERS, "image_size": 32, "patch_size": 8}
CROP = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
SQUASH = {"size": {"height": 32, "width": 32}, "do_center_crop": False}


@pytest.fixture(scope="module")
def images():
    return [photo(60 + 7 * n, 90 - 5 * n, n) for n in range(5)]


def save(folder, net, processor):
    net.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def vit(folder):
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    return save(folder, ViTModel(ViTConfig(**PATCHES)), ViTImageProcessor(size=SQUASH["size"]))


def vit_classifier(folder):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    return save(folder, ViTForImageClassification(ViTConfig(**PATCHES)), ViTImageProcessor(size=SQUASH["size"]))


def dinov2(folder):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    layers = {name: value for name, value in PATCHES.items() if name != "intermediate_size"}
    return save(folder, Dinov2Model(Dinov2Config(**layers, mlp_ratio=2)), BitImageProcessor(**CROP))


def clip_vision(folder):
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    return save(folder, CLIPVisionModelWithProjection(CLIPVisionConfig(**PATCHES, projection_dim=24)),
                CLIPImageProcessor(**CROP))  # fmt: skip


def clip(folder):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    text = {**LAYERS, "vocab_size": 99, "max_position_embeddings": 16}
    config = CLIPConfig(text_config=text, vision_config=PATCHES, projection_dim=24)
    return save(folder, CLIPModel(config), CLIPImageProcessor(**CROP))


def said(net, batch):
    found = net(pixel_values=batch)
    return found.image_embeds if "image_embeds" in found else found.pooler_output


def first_token(net, batch):
    return net.base_model(pixel_values=batch).last_hidden_state[:, 0]


def joint(net, batch):
    return net.visual_projection(net.vision_model(pixel_values=batch).pooler_output)


CASES = {
    "vit": (vit, "ViTModel", said, 32),
    "vit-classifier": (vit_classifier, "ViTForImageClassification", first_token, 32),
    "dinov2": (dinov2, "Dinov2Model", said, 32),
    "clip-vision": (clip_vision, "CLIPVisionModelWithProjection", said, 24),
    "clip": (clip, "CLIPModel", joint, 24),
}


@pytest.mark.parametrize("case", CASES)
def test_transformers_models_answer_as_in_transformers(case, tmp_path, images):
    import transformers

    make, name, ask, width = CASES[case]
    torch.manual_seed(0)
    folder = make(tmp_path / "model")
    net = getattr(transformers, name).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        expected = ask(net, processor(images=images, return_tensors="pt")["pixel_values"]).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = load_embedder(find_model(str(folder), "image-embedding"), "cpu").embed_images(images)
    assert found.shape == (5, width) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found[0] - found[1]).max() > 1e-2  # a constant answer would agree as well


@pytest.fixture
def timm_folder(tmp_path):
    import timm

    torch.manual_seed(0)
    net = timm.create_model("test_vit", pretrained=False, num_classes=7)
    timm.models.save_for_hf(net, tmp_path / "timm", safe_serialization=True)
    return tmp_path / "timm"


def test_timm_networks_answer_as_in_timm(timm_folder, images):
    import timm

    tower = load_embedder(find_model(str(timm_folder), "image-embedding"), "cpu")
    net = timm.create_model(f"local-dir:{timm_folder}", pretrained=True, num_classes=0).eval()
    shown = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)
    with torch.inference_mode():
        expected = net(torch.stack([shown(image) for image in images])).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(tower.embed_images(images), expected, atol=1e-3)


def test_clip_sees_what_open_clip_shows_it(images):
    tower = ClipTower(find_model("builtin-clip", "image-embedding"), "cpu")
    seen = np.stack([tower.preprocessing.resize_and_crop(image) for image in images])
    cosines = (tower.embed_preprocessed(seen) * tower.embed_images(images)).sum(axis=1)
    assert cosines.min() > 1 - 1e-5
    mirrored = (tower.embed_preprocessed(np.ascontiguousarray(seen[:, :, ::-1])) * tower.embed_images(images)).sum(
        axis=1
    )
    assert mirrored.max() < 1 - 1e-4


def test_neighbours_and_numbers_do_not_matter(timm_folder):
    tower = load_embedder(find_model(str(timm_folder), "image-embedding"), "cpu")
    many = [photo(40, 40, n) for n in range(66)]
    vectors = tower.embed_images(many)
    np.testing.assert_array_equal(tower.embed_images(many[5:6])[0], tower.embed_images(many[5:9])[0])
    np.testing.assert_array_equal(tower.embed_images(many[65:])[0], vectors[65])


def test_an_image_text_model_is_not_wanted_where_texts_are_needed(timm_folder):
    with pytest.raises(ModelError, match="image-embedding, not for image-text"):
        find_model(str(timm_folder), "image-text")
    assert find_model("builtin-clip", "image-embedding") == find_model("builtin-clip", "image-text")
    assert find_model("ViT-B-32/openai", "image-embedding").backends == ("open_clip",)
    with pytest.raises(ModelError, match="not for image-embedding"):
        find_model("sd15", "image-embedding")


def test_missing_tensors_are_an_error(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = vit(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if name.endswith("patch_embeddings.projection.weight"))
    save_file({n: t for n, t in tensors.items() if n != lost}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 of its tensors are missing"):
        load_embedder(find_model(str(folder), "image-embedding"), "cpu")


@pytest.mark.parametrize("damage", ["no weights", "no processor", "no json"])
def test_incomplete_directories_are_named(damage, tmp_path):
    folder = vit(tmp_path / "model")
    if damage == "no json":
        (folder / "config.json").write_text("{")
    else:
        (folder / {"no weights": "model.safetensors", "no processor": "preprocessor_config.json"}[damage]).unlink()
    with pytest.raises(ModelError, match="model"):
        load_embedder(find_model(str(folder), "image-embedding"), "cpu")


@pytest.mark.parametrize(
    "facts",
    [
        {"do_normalize": False},
        {"do_pad": True},
        {"rescale_factor": 1 / 127.5},
        {"size": {"longest_edge": 32}},
        {"size": {"height": 32, "width": 48}},
        {"size": {"shortest_edge": 32}, "do_center_crop": False},
        {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 30}},
    ],
)
def test_what_cannot_be_said_of_seeing_is_refused(facts):
    usual = {**SQUASH, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    assert processor_preprocessing(usual).resize is None
    with pytest.raises((ValueError, KeyError)):
        processor_preprocessing({**usual, **facts})


def test_an_unusual_open_clip_model_looks_for_itself():
    facts = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    assert clip_preprocessing(facts).resize == 32
    assert clip_preprocessing({**facts, "resize_mode": "squash"}).resize is None
    assert clip_preprocessing({**facts, "resize_mode": "longest"}) is None
    assert clip_preprocessing({**facts, "size": [32, 48]}) is None


def test_a_hub_model_comes_from_the_local_cache(tmp_path, monkeypatch, images):
    import huggingface_hub.constants

    commit = "0" * 40
    cached = tmp_path / "models--someone--vit"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    local = vit(tmp_path / "model")
    shutil.copytree(local, cached / "snapshots" / commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    row = find_model("hub:someone/vit", "image-embedding")
    assert json.loads((model_folder(row) / "config.json").read_text())["model_type"] == "vit"
    here = load_embedder(find_model(str(local), "image-embedding"), "cpu").embed_images(images)
    np.testing.assert_array_equal(load_embedder(row, "cpu").embed_images(images), here)
    with pytest.raises(ModelError, match="cannot be had from the hub"):
        load_embedder(find_model("hub:someone/else", "image-embedding"), "cpu")


def test_an_image_of_one_colour_is_embedded_too(timm_folder):
    tower = load_embedder(find_model(str(timm_folder), "image-embedding"), "cpu")
    assert np.isfinite(tower.embed_images([Image.new("RGB", (40, 40))])).all()
