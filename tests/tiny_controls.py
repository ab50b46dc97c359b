"""Tiny control networks for the tiny checkpoints: the real classes, made from the models that they control."""

from __future__ import annotations

import json
from pathlib import Path

SPREAD = 0.2
"""Of the random weights; what a ControlNet adds begins as zeros."""


def save_tiny_controlnet(folder: Path, base: Path, zeros: bool = False) -> Path:
    """A ControlNet for the pipeline in `base`; with `zeros` as it is before its training, when it changes nothing."""
    import torch

    torch.manual_seed(3)
    net = _of_unet(base) if (base / "unet").is_dir() else _of_transformer(base)
    if not zeros:
        with torch.no_grad():
            for weights in net.parameters():
                if not weights.any():
                    weights.copy_(torch.randn_like(weights) * SPREAD)
    net.save_pretrained(folder)
    return folder


def save_tiny_t2i_adapter(folder: Path, base: Path, channels: int = 3) -> Path:
    """A T2I-Adapter for the U-Net of the pipeline in `base`, for control pictures of so many `channels`."""
    import torch
    from diffusers import T2IAdapter

    torch.manual_seed(3)
    adapter = T2IAdapter(channels, [16, 32], num_res_blocks=1, downscale_factor=2)
    with torch.no_grad():
        for weights in adapter.parameters():
            weights.copy_(torch.randn_like(weights) * SPREAD)
    adapter.save_pretrained(folder)
    return folder


def _of_unet(base: Path):
    from diffusers import ControlNetModel, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32))


def _of_transformer(base: Path):
    import diffusers

    config = json.loads((base / "transformer" / "config.json").read_text())
    if config["_class_name"] == "ZImageTransformer2DModel":
        return diffusers.ZImageControlNetModel(
            control_layers_places=[0],
            control_refiner_layers_places=[0],
            control_in_dim=4,
            dim=32,
            n_heads=2,
            n_kv_heads=2,
            n_refiner_layers=1,
        )
    found = {
        "SD3Transformer2DModel": diffusers.SD3ControlNetModel,
        "FluxTransformer2DModel": diffusers.FluxControlNetModel,
        "QwenImageTransformer2DModel": diffusers.QwenImageControlNetModel,
    }[config["_class_name"]]
    return found.from_config({**config, "_class_name": found.__name__, "num_layers": 1})
