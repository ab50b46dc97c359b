"""Image-text models of transformers: images and texts as there, whatever their neighbours; PickScore is such a one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from augforge.data.stage_facts import read_facts
from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.models.logit_scales import logit_scale_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.data.test_preprocessing import photo
from tests.models.test_vision import CROP, LAYERS, PATCHES, SQUASH, clip, save
from tests.saved import saved
from tests.tiny import clip_tokenizer

WORDS = ["a photo of a cat", "a dog", "nine"]


def clip_folder(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    tokenizer = clip_tokenizer(folder)
    text = {
        **LAYERS,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(0)
    save(folder, CLIPModel(CLIPConfig(text_config=text, vision_config=PATCHES, projection_dim=24)),
         CLIPImageProcessor(**CROP))  # fmt: skip
    tokenizer.save_pretrained(folder)
    return folder


def siglip_folder(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    tokenizer = clip_tokenizer(folder)
    text = {**LAYERS, "vocab_size": len(tokenizer), "max_position_embeddings": 16, "projection_size": 32}
    torch.manual_seed(0)
    net = SiglipModel(SiglipConfig(text_config=text, vision_config=PATCHES))
    save(folder, net, SiglipImageProcessor(size=SQUASH["size"]))
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[clip_folder, siglip_folder], ids=["clip", "siglip"])
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "two-towers"
    made.mkdir()
    return request.param(made)


def test_texts_and_images_answer_as_in_transformers(folder):
    from transformers import AutoModel, AutoTokenizer

    net = AutoModel.from_pretrained(folder).eval()
    read = AutoTokenizer.from_pretrained(folder)(WORDS, padding="max_length", max_length=16, return_tensors="pt")
    tower = load_embedder(find_model(str(folder), "image-text"), "cpu")
    with torch.inference_mode():
        expected = net.get_text_features(**read).pooler_output
        seen = tower.preprocessing.normalize(tower.preprocessing.resize_and_crop(photo(60, 90, 1))[None], "cpu")
        image = net.get_image_features(pixel_values=seen).pooler_output
    expected, image = (torch.nn.functional.normalize(found, dim=-1).numpy() for found in (expected, image))
    found = tower.embed_texts(WORDS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(tower.embed_images([photo(60, 90, 1)]), image, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_text_does_not_depend_on_its_neighbours(folder):
    tower = load_embedder(find_model(str(folder), "image-text"), "cpu")
    many = [f"a photo of {number}" for number in range(66)]
    np.testing.assert_array_equal(tower.embed_texts(many)[5], tower.embed_texts(many[5:6])[0])
    np.testing.assert_array_equal(tower.embed_texts(many)[65], tower.embed_texts(many[65:])[0])


def test_a_directory_without_a_tokenizer_embeds_images_and_says_what_is_missing_for_texts(tmp_path):
    tower = load_embedder(find_model(str(clip(tmp_path / "bare")), "image-text"), "cpu")
    assert tower.embed_images([photo(40, 40, 0)]).shape == (1, 24)
    with pytest.raises(ModelError, match="has no tokenizer") as caught:
        tower.embed_texts(["a cat"])
    assert "save the tokenizer" in caught.value.hint


def rigged(folder: Path, sign: float) -> Path:
    """A CLIP whose every image is one unit vector, and whose every text is `sign` times that vector.

    The last norms forget what they see and say 1 or `sign` in their first place, which alone is projected.
    """
    weights = load_file(folder / "model.safetensors")
    norms = {"text_model.final_layer_norm": sign, "vision_model.post_layernorm": 1.0}
    for name, value in norms.items():
        weights[f"{name}.weight"].zero_()
        weights[f"{name}.bias"].zero_()[0] = value
    for name in ("text_projection.weight", "visual_projection.weight"):
        weights[name].zero_()[3, 0] = 1.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(("sign", "given", "scale"), [(1.0, {"scale": 50}, 50), (-1.0, {}, 37), (1.0, {}, 37)])
def test_the_preference_of_a_rigged_checkpoint_is_its_scale(tmp_path, sign, given, scale):
    model = tmp_path / "model"
    model.mkdir()
    set_logit_scale(rigged(clip_folder(model), sign), np.log(37))
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 2}))),)
    stage = build_stage(
        "filter", "preference", {"model": str(model), "prompt": "a photo of a {label}", "keep": 1, **given}
    )
    run(Recipe("x", 1, source, (stage,)), tmp_path / "out", device="cpu")
    assert [row["scores"]["preference"] for row in saved(tmp_path / "out")] == pytest.approx(
        [scale * sign] * 5, abs=1e-3
    )
    assert read_facts(tmp_path / "out")["1-filter-preference"]["scale"] == pytest.approx(scale)


def set_logit_scale(folder: Path, logarithm: float, dtype: torch.dtype = torch.float32, shape: tuple[int, ...] = ()):
    """Write another logit scale into a checkpoint of transformers."""
    weights = load_file(folder / "model.safetensors")
    weights["logit_scale"] = torch.full(shape, float(logarithm), dtype=dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def scale_of(folder: Path) -> float | None:
    return logit_scale_of(find_model(str(folder), "image-text"))


def test_the_logit_scale_of_a_checkpoint_is_read_whatever_library_wrote_it(folder, tiny_clip, tmp_path):
    import open_clip
    from transformers import AutoModel

    net = AutoModel.from_pretrained(folder)
    assert scale_of(folder) == pytest.approx(float(net.logit_scale.detach().exp()), rel=1e-6)
    theirs = open_clip.create_model(f"local-dir:{tiny_clip}").logit_scale.detach().exp()
    assert scale_of(tiny_clip) == pytest.approx(float(theirs), rel=1e-6)
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    set_logit_scale(again, 2.5, torch.bfloat16, (1,))
    assert scale_of(again) == pytest.approx(np.exp(2.5))
    set_logit_scale(again, np.inf)
    with pytest.raises(ModelError, match="its logit_scale is inf"):
        scale_of(again)
    (again / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be read"):
        scale_of(again)
    save_file({"other": torch.zeros(2)}, again / "model.safetensors")
    assert scale_of(again) is None
