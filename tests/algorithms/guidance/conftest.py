"""Tiny pipelines of the real classes: text only (SD), pooled embeddings too (SDXL), image embeddings too (unCLIP)."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tests.tiny import WIDTH


def tiny_unet(**more):
    return diffusers.UNet2DConditionModel(
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        norm_num_groups=8,
        attention_head_dim=(2, 4),
        cross_attention_dim=WIDTH,
        layers_per_block=1,
        use_linear_projection=True,
        **more,
    ).eval()


def ddim():
    return diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False)


@pytest.fixture(scope="session")
def unclip(tiny_unclip: Path):
    return quiet(diffusers.StableUnCLIPImg2ImgPipeline.from_pretrained(tiny_unclip))


@pytest.fixture(scope="session")
def sd(unclip):
    torch.manual_seed(0)
    return quiet(
        diffusers.StableDiffusionPipeline(
            vae=unclip.vae,
            text_encoder=unclip.text_encoder,
            tokenizer=unclip.tokenizer,
            unet=tiny_unet(),
            scheduler=ddim(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    )


@pytest.fixture(scope="session")
def sd_img2img(sd):
    return quiet(diffusers.StableDiffusionImg2ImgPipeline(**sd.components, requires_safety_checker=False))


@pytest.fixture(scope="session")
def sdxl(unclip):
    torch.manual_seed(0)
    text = CLIPTextConfig(**unclip.text_encoder.config.to_dict() | {"projection_dim": WIDTH, "architectures": None})
    return quiet(
        diffusers.StableDiffusionXLPipeline(
            vae=unclip.vae,
            text_encoder=None,
            tokenizer=None,
            text_encoder_2=CLIPTextModelWithProjection(text).eval(),
            tokenizer_2=unclip.tokenizer,
            unet=tiny_unet(
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            ),
            scheduler=ddim(),
            add_watermarker=False,
        )
    )


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def one_seed_each(seeds):
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def draw(pipe, seeds=(1,), prompt="a cat", **more):
    """The final latents (n, 4, 16, 16) of one picture for each seed."""
    options = {"guidance_scale": 5.0, "num_inference_steps": 3, "output_type": "latent", "negative_prompt": "low"}
    options |= more
    if isinstance(pipe, diffusers.StableUnCLIPImg2ImgPipeline):
        rows = [torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(100 + seed)) for seed in seeds]
        options |= {"image_embeds": torch.cat(rows), "noise_level": 10, "height": 32, "width": 32}
    elif isinstance(pipe, diffusers.StableDiffusionImg2ImgPipeline):
        rows = [torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(100 + seed)) for seed in seeds]
        options |= {"image": torch.cat(rows), "strength": 0.9}
    else:
        options |= {"height": 32, "width": 32}
    negative = [options["negative_prompt"]] * len(seeds)
    with torch.inference_mode():
        options |= {"prompt": [prompt] * len(seeds), "negative_prompt": negative, "generator": one_seed_each(seeds)}
        return pipe(**options).images
