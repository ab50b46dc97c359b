"""A small detector for pictures of 64 to 256 px."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

WIDTHS = (32, 64, 96, 128)
STRIDES = (4, 8, 16)
OUT, GROUPS = 64, 8


class Pyramid(nn.Module):
    """Pixels (n, 3, h, w) to maps (n, 64, h / s, w / s), s = 4, 8, 16, through four layers of convolutions and a
    feature pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(map(_layer, (3, *WIDTHS[:-1]), WIDTHS))
        self.pyramid = FeaturePyramidNetwork(list(WIDTHS[1:]), OUT)
        self.out_channels = OUT

    def forward(self, pixels: Tensor) -> OrderedDict[str, Tensor]:
        """The maps, the finest first."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for number, layer in enumerate(self.layers):
            pixels = layer(pixels)
            if number:
                maps[str(number)] = pixels
        found: OrderedDict[str, Tensor] = self.pyramid(maps)
        return found


def small_detector(classes: int, size: int) -> nn.Module:
    """torchvision's FCOS (Tian et al., ICCV 2019, arXiv 1904.01355) on `Pyramid`, about 0.9 million parameters.

    Args:
        classes: besides the background, which is 0.
        size: side in px of the squares that it is given.
    """
    anchors = AnchorGenerator(tuple((stride,) for stride in STRIDES), ((1.0,),) * len(STRIDES))
    net: nn.Module = FCOS(
        Pyramid(), classes + 1, min_size=size, max_size=size, anchor_generator=anchors, score_thresh=0.05
    )
    return net


def _layer(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1),
        nn.GroupNorm(GROUPS, width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(GROUPS, width),
        nn.ReLU(),
    )
