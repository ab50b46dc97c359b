"""The configuration of a diffusion model that its memory depends on: from its files, or as published for our rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from augforge.models.activations import FLUX_LIKE, USUAL_DECODER, factor
from augforge.models.backends.sizes import DEEP, part_config
from augforge.models.table import Model

READ_WHOLE = ("FluxKontext", "Flux2", "QwenImageEdit")
"""How the names of pipelines begin that read a picture beside the one that they make."""
UPCAST = ("StableDiffusionXL", "Kolors")
"""How those begin whose decoder diffusers runs in fp32."""
FLUX_SIDE = 1024
"""What pipelines with packed latents make, whose configuration names no size."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What `augforge.models.activations` asks of a model: parts of two `config.json`, and the class of the pipeline."""

    denoiser: Mapping[str, Any]
    decoder: Mapping[str, Any] = field(default_factory=lambda: USUAL_DECODER)
    pipeline: str = ""

    @property
    def reads_pictures(self) -> bool:
        """Whether a picture to start from is read whole, as tokens beside those of the image."""
        return self.pipeline.startswith(READ_WHOLE)

    @property
    def upcast(self) -> bool:
        """Whether the decoder runs in fp32 even where the weights are in half precision."""
        return self.pipeline.startswith(UPCAST) and bool(self.decoder.get("force_upcast", True))


def _unet(*channels: int, **more: Any) -> Mapping[str, Any]:
    return MappingProxyType({"_class_name": "UNet2DConditionModel", "block_out_channels": channels, **more})


def _transformer(name: str, heads: int, head: int, **more: Any) -> Mapping[str, Any]:
    kind = f"{name}Transformer2DModel"
    return MappingProxyType({"_class_name": kind, "num_attention_heads": heads, "attention_head_dim": head, **more})


_SD = _unet(320, 640, 1280, 1280)
_XL = _unet(
    320, 640, 1280, attention_head_dim=(5, 10, 20), down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * 2)
)
_FLUX = _transformer("Flux", 24, 128, joint_attention_dim=4096)
_QWEN = _transformer("QwenImage", 24, 128, joint_attention_dim=3584)
_QWEN_DECODER = MappingProxyType({"base_dim": 96, "dim_mult": (1, 2, 4, 4)})
_DEEP_DECODER = MappingProxyType({DEEP: (128, 256, 512, 512, 1024, 1024)})
_Z = {"dim": 3840, "n_heads": 30, "cap_feat_dim": 2560}
_Z_IMAGE = MappingProxyType({"_class_name": "ZImageTransformer2DModel", **_Z})

PUBLISHED: Mapping[str, Shape] = MappingProxyType(
    {
        "sd15": Shape(_SD, pipeline="StableDiffusionPipeline"),
        "sd21-unclip": Shape(_SD, pipeline="StableUnCLIPImg2ImgPipeline"),
        "image-variations": Shape(_SD, pipeline="StableDiffusionImageVariationPipeline"),
        "lcm-dreamshaper": Shape(_unet(320, 640, 1280, 1280, time_cond_proj_dim=256)),
        **dict.fromkeys(("sdxl", "sdxl-turbo", "sdxl-lightning"), Shape(_XL, pipeline="StableDiffusionXLPipeline")),
        "kolors": Shape(_XL, pipeline="KolorsPipeline"),
        "flux-schnell": Shape(_FLUX, pipeline="FluxPipeline"),
        "flux-dev": Shape(_FLUX, pipeline="FluxPipeline"),
        "flux-kontext": Shape(_FLUX, pipeline="FluxKontextPipeline"),
        "flux2-klein": Shape(_transformer("Flux2", 24, 128, joint_attention_dim=7680), pipeline="Flux2KleinPipeline"),
        "z-image-turbo": Shape(_Z_IMAGE, pipeline="ZImagePipeline"),
        "qwen-image": Shape(_QWEN, _QWEN_DECODER, "QwenImagePipeline"),
        "qwen-image-edit": Shape(_QWEN, _QWEN_DECODER, "QwenImageEditPipeline"),
        "sana-sprint": Shape(
            _transformer("Sana", 70, 32, patch_size=1, guidance_embeds=True), _DEEP_DECODER, "SanaSprintPipeline"
        ),
        "sd35-medium": Shape(
            _transformer("SD3", 24, 64, patch_size=2, joint_attention_dim=4096), pipeline="StableDiffusion3Pipeline"
        ),
        "pixart-sigma": Shape(_transformer("PixArt", 16, 72, patch_size=2), pipeline="PixArtSigmaPipeline"),
        "dit-xl-2": Shape(_transformer("DiT", 16, 72, patch_size=2), pipeline="DiTPipeline"),
    }
)
"""Rows of the table whose published size is known, for those who have not downloaded them yet."""


def shape_of(model: Model, revision: str | None = None) -> Shape | None:
    """The shape of a model by the files that are on this disk, else as published; None where neither is known."""
    denoiser = part_config(model, "unet", revision) or part_config(model, "transformer", revision)
    if not denoiser:
        return PUBLISHED.get(model.name)
    decoder = part_config(model, "vae", revision) or part_config(model, "movq", revision)
    index = part_config(model, "", revision, "model_index.json")
    return Shape(denoiser, decoder or USUAL_DECODER, str(index.get("_class_name", "")))


def native_size(model: Model, shape: Shape) -> int | None:
    """The side in px that a model was made for; None where it does not say."""
    if model.native is not None:
        return model.native
    latents = shape.denoiser.get("sample_size")
    if isinstance(latents, int):
        return latents * factor(shape.decoder)
    return FLUX_SIDE if shape.denoiser.get("_class_name") in FLUX_LIKE else None
