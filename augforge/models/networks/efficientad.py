"""The networks of EfficientAD: a patch description network for teacher and student, and an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from augforge.algorithms.efficientad import Scale, squared_distance

SIZE, DECODED = 256, (3, 8, 15, 32, 63, 127)
"""The published side in px, and the sides to which its decoder enlarges one after the other."""
DROPOUT = 0.2


def grid_of(size: int) -> int:
    """The places along a side of pictures of `size` px: 56 of 256."""
    return (((size - 3) // 2 - 3) // 2 - 2) - 3


class PatchDescription(nn.Sequential):
    """PDN-S without padding: (n, 3, s, s) to (n, out, g, g); 2,694,144 parameters with a width and out of 384."""

    def __init__(self, width: int, out: int) -> None:
        first, second = width // 3, 2 * width // 3
        super().__init__(
            nn.Conv2d(3, first, 4), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(first, second, 4), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(second, second, 3), nn.ReLU(),
            nn.Conv2d(second, out, 4),
        )  # fmt: skip


class Autoencoder(nn.Module):
    """(n, 3, s, s) to (n, out, g, g) through a bottleneck without places, so that it knows how a whole looks."""

    def __init__(self, width: int, out: int, size: int) -> None:
        super().__init__()
        few, many = max(1, width // 12), max(1, width // 6)
        channels = (3, few, few, many, many, many)
        halving = [
            layer for before, after in pairwise(channels)
            for layer in (nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU())
        ]  # fmt: skip
        self.encoder = nn.Sequential(*halving, nn.Conv2d(many, many, size // 32))
        self.sides = [max(1, round(side * size / SIZE)) for side in DECODED]
        self.growing = nn.ModuleList(nn.Conv2d(many, many, 4, padding=2) for _ in DECODED)
        self.grid = grid_of(size)
        self.last = nn.Sequential(nn.Conv2d(many, many, 3, padding=1), nn.ReLU(), nn.Conv2d(many, out, 3, padding=1))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, out, g, g) what the teacher would say of pictures that look as those that it learnt from."""
        code = self.encoder(pictures)
        for side, convolution in zip(self.sides, self.growing, strict=True):
            code = functional.interpolate(code, size=(side, side), mode="bilinear")
            code = self.dropout(functional.relu(convolution(code)))
        code = functional.interpolate(code, size=(self.grid, self.grid), mode="bilinear")
        result: Tensor = self.last(code)
        return result


class EfficientAd(nn.Module):
    """Teacher, student and autoencoder, with the teacher's statistics and the scales of the maps.

    Args:
        size: side of the pictures in px, a multiple of 32.
        width: channels of the features, a multiple of 12; 384 as published.
    """

    mean: Tensor
    std: Tensor
    scales: Tensor

    def __init__(self, size: int = SIZE, width: int = 384) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.teacher = PatchDescription(width, width)
        self.student = PatchDescription(width, 2 * width)
        self.autoencoder = Autoencoder(width, width, size)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("scales", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))

    def taught(self, pictures: Tensor) -> Tensor:
        """(n, c, g, g) the teacher's features, normalised by channel."""
        features: Tensor = self.teacher(pictures)
        return (features - self.mean[:, None, None]) / self.std[:, None, None]

    def learnt(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(n, c, g, g) each: what the student takes the features of the teacher and of the autoencoder to be."""
        mine, ours = self.student(pictures).split(self.width, dim=1)
        return mine, ours

    def raw_maps(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(n, g, g) how far the student is from the teacher, and from the autoencoder, in each place."""
        mine, ours = self.learnt(pictures)
        return squared_distance(self.taught(pictures), mine), squared_distance(self.autoencoder(pictures), ours)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, g, g) the anomaly map of normalised pictures (n, 3, s, s): the mean of both, each on its scale."""
        maps = zip(self.raw_maps(pictures), self.scales, strict=True)
        first, second = (Scale(*scale)(raw) for raw, scale in maps)
        return (first + second) / 2

    def facts(self) -> dict[str, Any]:
        """What rebuilds the network."""
        return {"architecture": "pdn-s", "size": self.size, "width": self.width}


def load_efficientad(facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> EfficientAd:
    """The network of a model directory."""
    net = EfficientAd(int(facts["size"]), int(facts["width"]))
    net.load_state_dict(dict(weights))
    return net
