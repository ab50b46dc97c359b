"""Losses of day-to-night translation, beside LSGAN: of edges, and of contrastive patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augforge.models.networks.translation import initialise

TEMPERATURE = 0.07
PATCHES = 256
HEAD_WIDTH = 256


def detector_loss(on_day: Tensor, on_night: Tensor, wanted: Tensor) -> Tensor:
    """How far the student is from the teacher, scalar: L1 between maps (b, 1, h, w) before the sigmoid.

    The student is to see in the day picture what the teacher sees there, and the same in its translation.
    """
    return F.l1_loss(on_day, wanted) + F.l1_loss(on_night, wanted)


def edge_loss(on_night: Tensor, wanted: Tensor) -> Tensor:
    """How far the translation's edges are from the day's, scalar in [0, 1]: L1 after the sigmoid."""
    return F.l1_loss(on_night.sigmoid(), wanted.sigmoid())


class PatchHeads(nn.Module):
    """One small MLP a layer: features of patches (b, p, c) become vectors (b, p, HEAD_WIDTH) of unit length."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(count, HEAD_WIDTH), nn.ReLU(), nn.Linear(HEAD_WIDTH, HEAD_WIDTH))
            for count in channels
        )
        initialise(self, 1.0)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """The vectors of every layer's patches."""
        return [F.normalize(head(some), dim=-1) for head, some in zip(self.heads, patches, strict=True)]


def draw_places(features: Sequence[Tensor], most: int = PATCHES) -> list[Tensor]:
    """For every layer (b, c, h, w) up to `most` places in h * w, all different; from torch's own CPU generator."""
    return [torch.randperm(layer[0, 0].numel())[:most].to(layer.device) for layer in features]


def patches_at(features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
    """(b, p, c) for every layer (b, c, h, w): its features at the places (p,)."""
    return [layer.flatten(2)[:, :, at].transpose(1, 2) for layer, at in zip(features, places, strict=True)]


def patch_nce(queries: Sequence[Tensor], keys: Sequence[Tensor], temperature: float = TEMPERATURE) -> Tensor:
    """PatchNCE, scalar: each query is to recognise the key of its place among those of the same picture.

    Cross-entropy over similarities / temperature, averaged over patches, pictures and layers; the keys are constants.
    Park et al., ECCV 2020, arXiv 2007.15651.

    Args:
        queries: for every layer (b, p, d) of unit length, from the translation; `keys` from the original.
    """
    losses = [_nce(query, key.detach(), temperature) for query, key in zip(queries, keys, strict=True)]
    return torch.stack(losses).mean()


def _nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    likeness = queries @ keys.transpose(1, 2) / temperature  # (b, p, p)
    right = torch.arange(likeness.shape[1], device=likeness.device).expand(likeness.shape[:2])
    return F.cross_entropy(likeness.flatten(0, 1).float(), right.flatten())
