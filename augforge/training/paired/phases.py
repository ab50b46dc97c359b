"""The order in which a generator with an enhancer learns; everything that depends on it is here."""

from __future__ import annotations

from enum import Enum
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from augforge.models.networks.paired.networks import LocalEnhancer, halve


class Phase(Enum):
    """What learns. The global generator starts alone, at half the size; then its enhancer alone; then both."""

    COARSE = 0
    FINE = 1
    JOINT = 2


def phase_at(step: int, steps: int, is_local: bool) -> Phase:
    """The phase of a step, counted from 0: a third of all steps each; without an enhancer always JOINT."""
    return Phase(min(2, 3 * step // steps)) if is_local else Phase.JOINT


def drawing(phase: Phase, generator: nn.Module) -> nn.Module:
    """What draws in a phase: the whole generator, or the global one alone, which takes halved inputs."""
    return cast(LocalEnhancer, generator).coarse if phase is Phase.COARSE else generator


def asleep(phase: Phase, generator: nn.Module, encoder: nn.Module | None) -> list[nn.Module]:
    """What does not learn in a phase although the picture depends on it."""
    if phase is not Phase.FINE:
        return []
    coarse = cast(LocalEnhancer, generator).coarse
    return [coarse] if encoder is None else [coarse, encoder]


def at_full_size(phase: Phase, generator: nn.Module) -> nn.Module:
    """What draws in a phase, from inputs of the full size and to it."""
    return Enlarged(drawing(phase, generator)) if phase is Phase.COARSE else generator


class Enlarged(nn.Module):
    """The pictures of a network that works at half the size, at the size of its input."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, condition: Tensor) -> Tensor:
        """(b, c, h, w) to (b, 3, h, w)."""
        return F.interpolate(self.net(halve(condition)), size=condition.shape[-2:], mode="bilinear")
