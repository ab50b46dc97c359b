"""Writes a tiny Stable Diffusion checkpoint as one file, in the layout of the original (CompVis) releases."""

from __future__ import annotations

import re
from pathlib import Path

UNET = (
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
    (r"^down_blocks\.(\d)\.resnets\.(\d)", lambda m: f"input_blocks.{1 + 2 * int(m[1]) + int(m[2])}.0"),
    (r"^down_blocks\.(\d)\.attentions\.(\d)", lambda m: f"input_blocks.{1 + 2 * int(m[1]) + int(m[2])}.1"),
    (r"^down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{2 + 2 * int(m[1])}.0.op"),
    (r"^up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.0"),
    (r"^up_blocks\.(\d)\.attentions\.(\d)", lambda m: f"output_blocks.{2 * int(m[1]) + int(m[2])}.1"),
    (r"^up_blocks\.(\d)\.upsamplers\.0", lambda m: f"output_blocks.{2 * int(m[1]) + 1}.1"),
    (r"(?<=\.)norm1(?=\.\w+$)(?<!transformer_blocks\.0\.norm1)", "in_layers.0"),
    (r"(?<=\.)conv1", "in_layers.2"),
    (r"(?<=\.)norm2(?=\.\w+$)(?<!transformer_blocks\.0\.norm2)", "out_layers.0"),
    (r"(?<=\.)conv2", "out_layers.3"),
    (r"time_emb_proj", "emb_layers.1"),
    (r"conv_shortcut", "skip_connection"),
)
DECODER = (
    (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{1 - int(m[1])}.block.{m[2]}"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{1 - int(m[1])}.upsample"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"group_norm", "norm"),
    (r"to_out\.0", "proj_out"),
    (r"to_([qkv])\.", r"\1."),
)


def write_single_file(folder: Path, file: Path) -> Path:
    """All weights of the pipeline in `folder` in the safetensors file `file`."""
    from safetensors.torch import load_file, save_file

    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder" / "model.safetensors")
    state = {"model.diffusion_model." + renamed(key, UNET): value for key, value in unet.items()}
    state |= {"first_stage_model." + renamed(key, DECODER): value for key, value in vae.items()}
    prefix = "cond_stage_model.transformer.text_model."
    state |= {prefix + key.removeprefix("text_model."): value for key, value in text.items()}
    save_file(state, file)
    return file


def renamed(key: str, rules: tuple) -> str:
    for pattern, new in rules:
        key = re.sub(pattern, new, key)
    return key
