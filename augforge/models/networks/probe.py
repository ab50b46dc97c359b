"""The linear probe: one layer on standardised features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Probe(nn.Module):
    """A linear layer on standardised features: (b, d) -> (b, c). It begins at zero, so that all classes are equal."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def standardise(self, features: NDArray[np.float32]) -> Probe:
        """Take mean and deviation from features (n, d); one that hardly varies is only centred."""
        mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
        varies = std > 0.01 * std.max()
        self.mean = torch.from_numpy(mean).float()
        self.std = torch.from_numpy(np.where(varies, std, 1.0)).float()
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(b, c) logits."""
        result: Tensor = self.head((features - self.mean) / self.std)
        return result
