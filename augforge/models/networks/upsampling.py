"""How a generator doubles its sides: by transposed convolutions, as published, or by enlarging and then convolving.

A transposed convolution with a kernel of 3 and a stride of 2 gives every second pixel twice as many inputs as its
neighbour, and a short training does not unlearn the checkerboard: Odena et al., Distill 2016.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

Upsampling = Literal["resize", "transposed"]
Net = TypeVar("Net", bound=nn.Module)


class ResizeConv2d(nn.Conv2d):
    """(b, before, h, w) to (b, after, 2h, 2w): every pixel twice each way, then a 3x3 convolution.

    As many parameters as `ConvTranspose2d(before, after, 3, stride=2)`.
    """

    def __init__(self, before: int, after: int, bias: bool = True) -> None:
        super().__init__(before, after, 3, padding=1, padding_mode="reflect", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(b, before, h, w)."""
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


def with_upsampling(net: Net, upsampling: Upsampling) -> Net:
    """`net` itself; with `resize` each of its transposed convolutions is replaced by a fresh `ResizeConv2d`."""
    if upsampling == "transposed":
        return net
    for parent in list(net.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.ConvTranspose2d):
                setattr(parent, name, ResizeConv2d(layer.in_channels, layer.out_channels, layer.bias is not None))
    return net
