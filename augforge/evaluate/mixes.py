"""Mixes of the images of a batch and their labels: Mixup and CutMix are torchvision's, ResizeMix is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Mix = Callable[["Tensor", "Tensor"], tuple["Tensor", "Tensor"]]
LEAST, MOST = 0.1, 0.8


def mixer(name: str, classes: int) -> Mix:
    """What mixes images (b, 3, h, w) and labels (b, c), by its name; "none" leaves them as they are.

    Mixup: Zhang et al., ICLR 2018, arXiv 1710.09412; CutMix: Yun et al., ICCV 2019, arXiv 1905.04899; alpha 1.
    """
    if name == "none":
        return lambda images, labels: (images, labels)
    if name == "resizemix":
        return resize_mix
    from torchvision.transforms import v2

    mix: Mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[name](num_classes=classes)
    return mix


def resize_mix(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Every image with the whole of the one before it, shrunk, pasted in one random place; all of the batch alike.

    The side is shrunk by tau ~ U(0.1, 0.8); the pasted image has as much say in the label as it covers of the area,
    counted in whole pixels (Qin et al., 2020, arXiv 2012.11101). The draws come from torch's generator.

    Args:
        images: (b, 3, h, w).
        labels: (b, c), soft.
    """
    import torch

    share = LEAST + (MOST - LEAST) * float(torch.rand(()))
    height, width = images.shape[-2:]
    down, across = max(1, int(height * share)), max(1, int(width * share))
    top = int(torch.randint(height - down + 1, ()))
    left = int(torch.randint(width - across + 1, ()))
    return paste(images, labels, (top, left, down, across))


def paste(images: Tensor, labels: Tensor, box: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """ResizeMix with the box (top, left, height, width) given, in px."""
    from torch.nn.functional import interpolate

    top, left, down, across = box
    others = images.roll(1, dims=0)
    small = interpolate(others, (down, across), mode="bilinear", antialias=True, align_corners=False)
    mixed = images.clone()
    mixed[..., top : top + down, left : left + across] = small
    area = down * across / (images.shape[-2] * images.shape[-1])
    return mixed, (1 - area) * labels + area * labels.roll(1, dims=0)
