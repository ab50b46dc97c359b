"""The estimate of a batch's memory, beside what the real classes of diffusers hold at their peak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import diffusers
import pytest
import torch

from augforge.models.activations import Calls, batch_bytes, decoder_numbers, denoiser_numbers, image_tokens
from augforge.models.backends import Request
from tests.live_memory import Peak, peak_of
from tests.models.conftest import Opener

WITHIN = 1.6
"""The factor that docs/models.md states."""
USUAL = {"block_out_channels": (128, 256, 512, 512)}


def near(estimate: float, truth: float) -> bool:
    return truth / WITHIN <= estimate <= truth * WITHIN


def named(net: torch.nn.Module) -> dict[str, object]:
    """The configuration as it stands in a file, with the name of the class."""
    return {**net.config, "_class_name": type(net).__name__}


@contextmanager
def weightless() -> Iterator[None]:
    """Tensors without memory; attention makes what the memory-efficient kernels of torch do: its answer alone."""

    def efficient(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object):
        return torch.empty(*query.shape[:-1], value.shape[-1], dtype=query.dtype)

    plain, dtype = torch.nn.functional.scaled_dot_product_attention, torch.get_default_dtype()
    torch.nn.functional.scaled_dot_product_attention = efficient
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = plain
        torch.set_default_dtype(dtype)


def test_the_counter_counts_what_lives_at_once() -> None:
    def call() -> None:
        one = torch.zeros(100, dtype=torch.float32)
        two = one + 1
        del one
        two.view(10, 10).add_(1)
        torch.zeros(50)

    with Peak() as peak:
        call()
    assert peak.bytes == 800


@pytest.mark.parametrize("rows", [1, 2])
def test_the_u_net_of_stable_diffusion_1_5(rows: int) -> None:
    with weightless():
        net = diffusers.UNet2DConditionModel(cross_attention_dim=768)
        inputs = torch.empty(rows, 4, 64, 64), torch.empty(rows), torch.empty(rows, 77, 768)
        truth = peak_of([net], lambda: net(*inputs))
    calls = Calls((512, 512), denoised=rows, decoded=0, guided=False)
    assert near(batch_bytes(net.config, USUAL, calls, 2), truth)


def test_the_u_net_of_xl_whose_widest_level_has_no_attention() -> None:
    with weightless():
        net = diffusers.UNet2DConditionModel(
            block_out_channels=(320, 640, 1280), transformer_layers_per_block=(1, 2, 4), attention_head_dim=(5, 10, 20),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=2048,
        )  # fmt: skip
        inputs = torch.empty(1, 4, 128, 128), torch.empty(1), torch.empty(1, 77, 2048)
        truth = peak_of([net], lambda: net(*inputs))
    calls = Calls((1024, 1024), decoded=0, guided=False)
    assert near(batch_bytes(net.config, USUAL, calls, 2), truth)
    plain = {**net.config, "down_block_types": ("CrossAttnDownBlock2D",) * 3}
    assert not near(batch_bytes(plain, USUAL, calls, 2), truth / 1.2)


def test_transformers() -> None:
    empty = torch.empty
    with weightless():
        flux = diffusers.FluxTransformer2DModel(num_layers=1, num_single_layers=1, guidance_embeds=True)
        inputs = {
            "hidden_states": empty(1, 4096, 64), "encoder_hidden_states": empty(1, 512, 4096), "timestep": empty(1),
            "pooled_projections": empty(1, 768), "img_ids": empty(4096, 3), "txt_ids": empty(512, 3),
            "guidance": empty(1),
        }  # fmt: skip
        pixart = diffusers.PixArtTransformer2DModel(
            num_layers=1, sample_size=128, caption_channels=4096, use_additional_conditions=False
        )
        pictured = empty(1, 4, 128, 128), empty(1, 300, 4096), empty(1), {"resolution": None, "aspect_ratio": None}
        sana = diffusers.SanaTransformer2DModel(num_layers=1)
        deep = empty(1, 32, 32, 32), empty(1, 300, 2304), empty(1)
        truths = {
            "flux": (flux, USUAL, peak_of([flux], lambda: flux(**inputs))),
            "pixart": (pixart, USUAL, peak_of([pixart], lambda: pixart(*pictured))),
            "sana": (sana, {"encoder_block_out_channels": (128, 256, 512, 512, 1024, 1024)},
                     peak_of([sana], lambda: sana(*deep))),
        }  # fmt: skip
    calls = Calls((1024, 1024), decoded=0, guided=False)
    for name, (net, decoder, truth) in truths.items():
        assert near(batch_bytes(named(net), decoder, calls, 2), truth), name
    assert image_tokens(named(flux), USUAL, (1024, 1024)) == 4096
    assert image_tokens(named(sana), truths["sana"][1], (1024, 1024)) == 1024


def test_the_decoder() -> None:
    with weightless():
        net = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2,
        )  # fmt: skip
        latents = torch.empty(2, 4, 64, 64)
        truth = peak_of([net], lambda: net.decode(latents))
    assert near(2 * 2 * decoder_numbers(net.config, (512, 512)), truth)


@pytest.mark.parametrize("case", ["text-to-image", "text-to-image-xl", "text-to-image-3", "text-to-image-flux"])
def test_whole_pipelines_on_the_cpu(case: str, opened: Opener) -> None:
    backend = opened(case)
    guidance = 1.0 if case.endswith("flux") else 3.0
    request = Request(["a cat"] * 2, [""] * 2, [1, 2], 1, guidance, size=(96, 96))
    backend.generate(replace(request, size=(32, 32)))  # texts are encoded, and kept
    nets = [part for part in backend.pipe.components.values() if isinstance(part, torch.nn.Module)]
    truth = peak_of(nets, lambda: backend.generate(request))
    decoded = 1 if backend._decoder.output == "np" else 2
    calls = Calls((96, 96), denoised=2, decoded=decoded, guided=guidance > 1)
    estimate = batch_bytes(named(backend.denoiser), backend.pipe.vae.config, calls, 4)
    assert near(estimate, truth), (estimate, truth)


def test_guidance_doubles_rows_but_where_it_is_a_number_or_a_second_call() -> None:
    unet = {"block_out_channels": (320, 640), "_class_name": "UNet2DConditionModel"}
    calls = Calls((512, 512), decoded=0)
    once = batch_bytes(unet, USUAL, replace(calls, guided=False), 2)
    assert batch_bytes(unet, USUAL, calls, 2) == 2 * once == batch_bytes(unet, USUAL, replace(calls, guided=False), 4)
    for more in ({"time_cond_proj_dim": 256}, {"_class_name": "QwenImageTransformer2DModel"}):
        assert batch_bytes({**unet, **more}, USUAL, calls, 2) == once
    decoding = batch_bytes(unet, USUAL, Calls((512, 512), decoded=4), 2)
    assert (
        decoding
        == 4 * 2 * decoder_numbers(USUAL, (512, 512))
        == batch_bytes(unet, USUAL, Calls((512, 512), denoised=4, decoded=4), 2)
    )


def test_kept_scores_grow_with_the_fourth_power_of_the_side() -> None:
    unet = {"block_out_channels": (320, 640), "attention_head_dim": (5, 10)}
    calls = Calls((512, 512), decoded=0, guided=False, scores=True)
    assert denoiser_numbers(unet, USUAL, calls)[1] == 5 * 4096**2
    small, large = (
        batch_bytes(unet, USUAL, one, 2) - batch_bytes(unet, USUAL, replace(one, scores=False), 2)
        for one in (calls, replace(calls, size=(1024, 1024)))
    )
    assert large == 16 * small == 16 * 12 * 5 * 4096**2


def test_pictures_that_are_read_whole_are_tokens_too() -> None:
    flux = {"num_attention_heads": 24, "attention_head_dim": 128}
    one, two = (Calls((1024, 1024), pictures=count) for count in (1, 2))
    assert denoiser_numbers(flux, USUAL, two)[0] * 2 == denoiser_numbers(flux, USUAL, one)[0] * 3
