"""Diffusion pipelines of the sizes of published ones with random weights, made in place: speed needs no more.

`save_unclip` is as Stable unCLIP 2.1 (870 M parameters in the U-Net, 768 px), `save_sdxl` as Stable Diffusion XL
(2.6 G, 1024 px). With `tiny` they are the same classes at toy size. The networks begin on the device, one after
the other, and wait on the host in fp16.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from augforge.models import find_model
from augforge.models.devices import quiet

TOKENS = 77


def save_unclip(folder: Path, device: str, tiny: bool) -> Path:
    """A StableUnCLIPImg2ImgPipeline."""
    import diffusers
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import CLIPImageProcessor

    width = 64 if tiny else 1024
    net = Maker(device, tiny)
    return _saved(
        folder,
        diffusers.StableUnCLIPImg2ImgPipeline(
            feature_extractor=CLIPImageProcessor(),
            image_encoder=net.image_encoder(1280, 32, width),
            image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=width),
            image_noising_scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
            tokenizer=net.tokenizer,
            text_encoder=net.text_encoder(1024, 23, projected=False),
            unet=net.unet(
                sample_size=96,
                block_out_channels=(320, 640, 1280, 1280),
                attention_head_dim=(5, 10, 20, 20),
                cross_attention_dim=width,
                class_embed_type="projection",
                projection_class_embeddings_input_dim=2 * width,
            ),
            scheduler=diffusers.DPMSolverMultistepScheduler(prediction_type="v_prediction"),
            vae=net.vae(),
        ),
    )


def save_sdxl(folder: Path, device: str, tiny: bool) -> Path:
    """A StableDiffusionXLPipeline."""
    import diffusers

    net, blocks = Maker(device, tiny), ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D")
    first, second = (64, 64) if tiny else (768, 1280)
    return _saved(
        folder,
        diffusers.StableDiffusionXLPipeline(
            tokenizer=net.tokenizer,
            tokenizer_2=net.tokenizer,
            text_encoder=net.text_encoder(768, 12, projected=False),
            text_encoder_2=net.text_encoder(1280, 32, projected=True),
            unet=net.unet(
                sample_size=128,
                down_block_types=("DownBlock2D", *blocks),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                block_out_channels=(320, 640, 1280),
                attention_head_dim=(5, 10, 20),
                transformer_layers_per_block=(1, 1, 1) if tiny else (1, 2, 10),
                cross_attention_dim=first + second,
                addition_embed_type="text_time",
                addition_time_embed_dim=16 if tiny else 256,
                projection_class_embeddings_input_dim=second + 6 * (16 if tiny else 256),
            ),
            scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="leading"),
            vae=net.vae(),
        ),
    )


MODELS: dict[str, Callable[[Path, str, bool], Path]] = {"unclip": save_unclip, "sdxl": save_sdxl}


class Maker:
    """Makes networks on `device`, or toy ones, and keeps them in fp16 on the host."""

    def __init__(self, device: str, tiny: bool) -> None:
        import torch
        from transformers import CLIPTokenizer

        quiet()
        torch.manual_seed(0)
        self._device, self._tiny = device, tiny
        built_in = find_model("builtin-unclip", "conditioning").location
        self.tokenizer = CLIPTokenizer.from_pretrained(built_in, subfolder="tokenizer", model_max_length=TOKENS)

    def _made(self, network: Any, config: Any) -> Any:
        import torch

        with torch.device(self._device):
            made = network(config) if not isinstance(config, dict) else network(**config)
        return made.to(torch.float16).to("cpu")

    def image_encoder(self, width: int, layers: int, projection: int) -> Any:
        """A vision transformer of CLIP, 14 px a patch."""
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        size = self._layers(width, layers)
        config = CLIPVisionConfig(**size, projection_dim=projection, patch_size=14, image_size=224)
        return self._made(CLIPVisionModelWithProjection, config)

    def text_encoder(self, width: int, layers: int, projected: bool) -> Any:
        """A text encoder of CLIP, over 77 tokens."""
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

        size, words = self._layers(width, layers), self.tokenizer
        config = CLIPTextConfig(
            **size,
            projection_dim=size["hidden_size"],
            vocab_size=len(words),
            max_position_embeddings=TOKENS,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
        return self._made(CLIPTextModelWithProjection if projected else CLIPTextModel, config)

    def _layers(self, width: int, layers: int) -> dict[str, int]:
        width, layers = (64, 2) if self._tiny else (width, layers)
        heads = {64: 4, 768: 12, 1024: 16, 1280: 20 if layers == 32 else 16}[width]
        return {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
        }

    def unet(self, sample_size: int, block_out_channels: tuple[int, ...], **config: Any) -> Any:
        """A U-Net of Stable Diffusion 2 or XL."""
        import diffusers

        if self._tiny:
            sample_size, block_out_channels = 8, (32, 64, 64, 64)[: len(block_out_channels)]
            config["attention_head_dim"] = 4
        size = {"sample_size": sample_size, "block_out_channels": block_out_channels}
        return self._made(diffusers.UNet2DConditionModel, {**size, "use_linear_projection": True, **config})

    def vae(self) -> Any:
        """The autoencoder of Stable Diffusion: eight pixels to one of four latents."""
        import diffusers

        config = {
            "block_out_channels": (32, 32, 32, 32) if self._tiny else (128, 256, 512, 512),
            "down_block_types": ("DownEncoderBlock2D",) * 4,
            "up_block_types": ("UpDecoderBlock2D",) * 4,
            "layers_per_block": 1 if self._tiny else 2,
            "latent_channels": 4,
        }
        return self._made(diffusers.AutoencoderKL, config)


def _saved(folder: Path, pipe: Any) -> Path:
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder
