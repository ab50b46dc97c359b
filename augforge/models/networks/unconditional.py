"""The U-Net that an unconditional diffusion model of ours is, as diffusers configures it."""

from __future__ import annotations

from math import gcd
from typing import Any

STEEPEST = 4
"""The widest level has so many times the channels of the first."""
GROUPS = 32
HEAD = 8
"""Channels of an attention head."""


def unet_config(size: int, width: int, levels: int, blocks: int) -> dict[str, Any]:
    """The arguments of diffusers' UNet2DModel for RGB squares of `size` px: (b, 3, s, s) to the same.

    Args:
        size: side in px, a multiple of 2 ** (levels - 1).
        width: channels of the first level, a multiple of 8; they double from level to level, up to four times as many.
        levels: resolutions, each half as large as the one before; the coarsest has attention.
        blocks: residual blocks of each level.
    """
    channels = tuple(width * min(2**level, STEEPEST) for level in range(levels))
    plain = levels - 1
    return {
        "sample_size": size,
        "in_channels": 3,
        "out_channels": 3,
        "layers_per_block": blocks,
        "block_out_channels": channels,
        "down_block_types": ("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        "up_block_types": ("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        "norm_num_groups": gcd(width, GROUPS),
        "attention_head_dim": HEAD,
    }
