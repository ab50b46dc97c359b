"""Networks that describe an image by one vector of length 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

LEAST, DIMENSIONS = 1e-6, 128


class GeM(nn.Module):
    """Generalised-mean pooling (Radenovic et al., TPAMI 2019, arXiv 1711.02512) of maps (n, c, h, w) to (n, c).

    The mean of x ** p, to the power 1 / p, with p learned: 1 is the mean, a large p comes near the maximum. Values
    below 1e-6 count as that.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, maps: Tensor) -> Tensor:
        """(n, c)."""
        pooled: Tensor = maps.clamp(min=LEAST).pow(self.p).mean(dim=(-2, -1)).pow(1 / self.p)
        return pooled


class GeMNetwork(nn.Module):
    """A network of timm without its head, generalised-mean pooling, a linear layer, and vectors (n, d) of length 1.

    The layer stands for the whitening that the paper learns at the end.

    Args:
        body: has `forward_features`, pixels (n, 3, h, w) to maps (n, c, h', w').
        channels: c.
    """

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body, self.pool, self.head = body, GeM(), nn.Linear(channels, DIMENSIONS)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, d)."""
        pooled = self.pool(self.body.forward_features(pixels))  # type: ignore[operator]
        described: Tensor = normalize(self.head(pooled), dim=1)
        return described
