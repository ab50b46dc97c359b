"""Logits in padded batches of one size, so that they never depend on how many images were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Vectors = NDArray[np.float32]
BATCH = 64


def in_batches(net: nn.Module, load: Callable[[Sequence[int]], Vectors], indices: Sequence[int]) -> Vectors:
    """(n, c) logits in float32 of the inputs that `load` makes of n indices, n >= 1, in padded batches of one size."""
    import torch

    device = next(net.parameters()).device
    parts = []
    for start in range(0, len(indices), BATCH):
        few = indices[start : start + BATCH]
        loaded = load(few)
        padded = np.concatenate([loaded, np.repeat(loaded[-1:], BATCH - len(few), axis=0)])
        with torch.inference_mode():
            parts.append(net(torch.from_numpy(padded).to(device))[: len(few)].float().cpu().numpy())
    return np.concatenate(parts)
