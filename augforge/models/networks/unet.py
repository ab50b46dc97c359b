"""A small U-Net for label maps."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

WIDTHS = (16, 32, 64, 128)
GROUPS = 8


class UNet(nn.Module):
    """Pixels (n, 3, h, w) to the logits (n, classes, h, w) of each; any size of at least 8 px.

    Ronneberger et al., MICCAI 2015, arXiv 1505.04597, with padding, group normalisation in place of none, bilinear
    steps up, and four levels of 16 to 128 channels: about 0.5 million parameters.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(map(_level, (3, *WIDTHS[:-1]), WIDTHS))
        finest_last = WIDTHS[-2::-1]
        self.up = nn.ModuleList(map(_level, map(sum, pairwise(WIDTHS[::-1])), finest_last))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits of every pixel."""
        seen: list[Tensor] = []
        x = pixels
        for number, level in enumerate(self.down):
            x = level(x if number == 0 else nn.functional.max_pool2d(x, 2, ceil_mode=True))
            seen.append(x)
        for level, finer in zip(self.up, seen[-2::-1], strict=True):
            wide = interpolate(x, finer.shape[-2:], mode="bilinear", align_corners=False)
            x = level(torch.cat([finer, wide], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _level(channels_in: int, channels: int) -> nn.Module:
    """Two convolutions of 3x3."""
    steps: list[nn.Module] = []
    for wide in (channels_in, channels):
        steps += [nn.Conv2d(wide, channels, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, channels), nn.ReLU(True)]
    return nn.Sequential(*steps)
