"""Pictures to tensors and back, and networks that rest meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@contextmanager
def frozen(*nets: nn.Module) -> Iterator[None]:
    """The networks' parameters take no gradients meanwhile; what flows through them still does."""
    before = [(parameter, parameter.requires_grad) for net in nets for parameter in net.parameters()]
    for parameter, _ in before:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)


@contextmanager
def eval_mode(*nets: nn.Module) -> Iterator[None]:
    """The networks in eval mode, without gradients; their former mode comes back."""
    before = [net.training for net in nets]
    try:
        for net in nets:
            net.eval()
        with torch.inference_mode():
            yield
    finally:
        for net, was in zip(nets, before, strict=True):
            net.train(was)


def to_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """(3, h, w) in [-1, 1] of an RGB picture (h, w, 3)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float() / 127.5 - 1


def to_picture(tensor: Tensor) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 of a picture (3, h, w) in [-1, 1]; NaN becomes 0."""
    values = torch.nan_to_num(tensor.detach().float()).clamp(-1, 1).add(1).mul(127.5).round()
    return values.to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def to_unit(pictures: Tensor) -> NDArray[np.float32]:
    """(n, h, w, 3) in [0, 1] of pictures (n, 3, h, w) in [-1, 1]; NaN stays."""
    values = pictures.detach().float().add(1).div(2).clamp(0, 1)
    return values.permute(0, 2, 3, 1).cpu().numpy().astype(np.float32)
