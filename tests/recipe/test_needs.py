"""What `augforge check` says of memory: at the dtype, batch and size of the recipe."""

from __future__ import annotations

import re
from typing import Any

import diffusers
import pytest

from augforge.models.hub_rows import HUB_ROWS
from augforge.models.shapes import PUBLISHED, shape_of
from augforge.models.table import MODELS
from augforge.recipe import parse_recipe
from augforge.recipe.needs import batch_gib, needs_of
from augforge.stages.generators.diffusion import DiffusionGenerator
from tests.models.conftest import Checkpoint, checkpoint  # noqa: F401  # a fixture


def stage(model: str, name: str = "text2img", **options: Any) -> DiffusionGenerator:
    lines = "".join(f"    {key}: {value}\n" for key, value in options.items())
    text = f"source: {{folder: photos}}\nstages:\n  - generate: {name}\n    model: {model}\n    per-class: 1\n{lines}"
    (found,) = parse_recipe(text).stages
    assert isinstance(found, DiffusionGenerator)
    return found


def gib(model: str, dtype: str = "bf16", **options: Any) -> float:
    found = batch_gib(stage(model, **options), dtype)
    assert found is not None
    return found[0]


def test_batch_size_dtype_and_guidance_count() -> None:
    one = gib("sdxl", batch=1, width=1024, height=1024)
    assert gib("sdxl", batch=64) == pytest.approx(64 * 2 * 15.25 * 320 * 128 * 128 * 2 / 2**30)
    assert gib("sdxl", batch=128, guidance=1.0) == gib("sdxl", batch=64)
    assert gib("sdxl", batch=256, **{"micro-batch": 64}) == gib("sdxl", batch=64)
    assert gib("sdxl", batch=64, **{"micro-batch": 1}) == 4 * gib("sdxl", batch=1)  # four are decoded at once
    assert one == 3 * 256 * 1024 * 1024 * 4 / 2**30 == gib("sdxl", "fp32", batch=1)  # its decoder runs in fp32
    assert gib("flux-dev", batch=8) == pytest.approx(8 * 16 * (4096 + 512) * 3072 * 2 / 2**30)
    assert gib("sd15", batch=64, attention="_native_math") > 3 * gib("sd15", batch=64)


def test_a_picture_that_is_read_whole_counts() -> None:
    kontext = batch_gib(stage("flux-kontext", "img2img", batch=8), "bf16")
    plain = batch_gib(stage("flux-dev", batch=8), "bf16")
    assert kontext is not None and plain is not None
    assert kontext[1].pictures == 1 and kontext[0] == pytest.approx(plain[0] * (2 * 4096 + 512) / (4096 + 512))


def test_what_is_said_names_batch_size_and_precision() -> None:
    text = "source: {folder: photos}\nstages:\n  - generate: text2img\n    model: sd15\n    per-class: 1\n"
    (auto,) = needs_of(parse_recipe(text))
    assert (
        "2.0 GiB in half precision and 4.1 in fp32 for 1.1 billion weights; each image of a batch at 512 x 512" in auto
    )
    (given,) = needs_of(parse_recipe(text + "    batch: 16\n    dtype: bf16\n    width: 768\n    height: 512\n"))
    assert re.search(
        r"takes 2.0 GiB in bf16 for .*; a batch of 16 at 768 x 512 px takes about [\d.]+ GiB in bf16 on", given
    )
    judged = "source: {folder: photos}\nstages:\n  - filter: clip\n    model: vit-b-32\n"
    (line,) = needs_of(parse_recipe(judged))
    assert line.endswith("what a batch takes on top was not estimated")


def test_files_on_this_disk_count_before_what_is_published(checkpoint: Checkpoint) -> None:  # noqa: F811
    folder = str(checkpoint("sd"))
    found = shape_of(stage(folder).row)
    assert found is not None and tuple(found.denoiser["block_out_channels"]) == (16, 32)
    assert found.pipeline == "StableDiffusionPipeline" and not found.upcast
    assert gib(folder, batch=4) < 0.01


def test_rows_of_the_hub_have_a_shape() -> None:
    assert {row.name for row in HUB_ROWS} <= set(PUBLISHED) <= set(MODELS)


@pytest.mark.parametrize(
    ("row", "of"),
    [
        ("sd15", diffusers.UNet2DConditionModel),
        ("flux-dev", diffusers.FluxTransformer2DModel),
        ("qwen-image", diffusers.QwenImageTransformer2DModel),
        ("qwen-image", diffusers.AutoencoderKLQwenImage),
        ("z-image-turbo", diffusers.ZImageTransformer2DModel),
        ("sana-sprint", diffusers.SanaTransformer2DModel),
        ("pixart-sigma", diffusers.PixArtTransformer2DModel),
        ("dit-xl-2", diffusers.DiTTransformer2DModel),
    ],
)
def test_published_shapes_are_the_defaults_of_diffusers_where_those_are_of_the_same_model(row: str, of: type) -> None:
    """diffusers' defaults are those of the first published model of each class."""
    import inspect

    usual = {name: one.default for name, one in inspect.signature(of.__init__).parameters.items()}
    shape = PUBLISHED[row]
    part = shape.decoder if "Autoencoder" in of.__name__ else shape.denoiser
    own = {"_class_name", "joint_attention_dim", "guidance_embeds"}
    for name, value in part.items():
        if name not in own:
            default = usual[name]
            assert (tuple(default) if isinstance(default, (list, tuple)) else default) == value, name
