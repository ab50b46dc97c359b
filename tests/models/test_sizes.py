"""What a width or height must be a multiple of, from configurations; nothing is loaded."""

from __future__ import annotations

import json
import sys

import pytest

from augforge.errors import RecipeError
from augforge.models.backends.sizes import check_size, size_multiple
from augforge.models.table import MODELS, Model
from augforge.recipe import build_stage


def model(folder, **parts) -> Model:
    """A model in a directory, of which only these configurations are there."""
    for part, config in parts.items():
        (folder / part).mkdir()
        (folder / part / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return Model("m", ("text-to-image",), str(folder), "", "")


def autoencoder(blocks: int) -> dict[str, list[int]]:
    return {"block_out_channels": [8] * blocks}


@pytest.mark.parametrize(
    ("backend", "parts", "multiple"),
    [
        ("unclip", {"vae": autoencoder(3)}, 8),  # factor 4; diffusers asks for 8
        ("text-to-image", {"vae": autoencoder(4)}, 8),
        ("text-to-image", {"vae": autoencoder(5)}, 16),  # half a latent is none
        ("text-to-image", {"vae": autoencoder(4), "transformer": {"patch_size": 1}}, 16),  # Flux packs 2 x 2
        ("text-to-image", {"vae": autoencoder(4), "transformer": {"patch_size": 4}}, 32),
        (
            "text-to-image",
            {"vae": {"encoder_block_out_channels": [8] * 6}, "transformer": {"patch_size": 1}},
            32,
        ),  # SANA
        ("text-to-image", {"vae": {"dim_mult": [1, 2, 4, 4]}, "transformer": {"patch_size": 2}}, 16),  # Qwen-Image
        ("kandinsky-2.2", {"movq": autoencoder(4)}, 64),  # it rounds up to the square of the factor
        ("kandinsky-2.2", {"movq": autoencoder(3)}, 16),
        ("text-to-image", {}, 8),
        ("text-to-image", {"vae": "not JSON"}, 8),
        ("text-to-image", {"vae": "[1]"}, 8),
    ],
)
def test_the_multiple_follows_from_the_configuration(tmp_path, backend, parts, multiple):
    assert size_multiple(model(tmp_path, **parts), backend) == multiple


def test_kandinsky_is_rounded_as_diffusers_rounds_it():
    from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2 import downscale_height_and_width

    for px in (64, 128, 96, 100):
        made = downscale_height_and_width(px, px, 8)[0] * 8
        assert (made == px) == (px % 64 == 0)


def test_a_model_on_a_hub_is_judged_by_the_local_cache(tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "config.json").write_text(json.dumps(autoencoder(5)))
    asked = []

    def look(repository, name, revision=None):
        asked.append((repository, name, revision))
        return str(tmp_path / "config.json") if name.startswith("vae") else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", look)
    assert size_multiple(MODELS["sd15"], "text-to-image", "main") == 16
    owner = MODELS["sd15"].location.removeprefix("hub:")
    assert asked == [(owner, "vae/config.json", "main"), (owner, "transformer/config.json", "main")]


@pytest.mark.parametrize(("px", "near"), [(33, "32 or 40"), (5, "8"), (39, "32 or 40")])
def test_what_is_no_multiple_is_refused_with_what_is_near(px, near):
    with pytest.raises(RecipeError, match=f"key 'width': {px} px is no multiple of 8, which m needs") as caught:
        check_size({"width": px, "height": 64}, 8, "m")
    assert caught.value.hint == f"give {near}"
    check_size({"width": 64, "height": 8}, 8, "m")


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_stage_is_refused_before_its_model_is_loaded(side):
    with pytest.raises(RecipeError, match=f"key '{side}': 33 px is no multiple of 8, which builtin-unclip needs"):
        build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip", side: 33})
    assert build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip", side: 40})
    assert "augforge.models.backends.sizes" in sys.modules
