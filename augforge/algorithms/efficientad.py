"""EfficientAD (Batzner, Heckler and König, *EfficientAD: Accurate Visual Anomaly Detection at Millisecond-Level
Latencies*, WACV 2024): the hard feature loss, the two anomaly maps and how they are brought to one scale.

Features are tensors (n, c, h, w), maps (n, h, w).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

HARD = 0.999
"""Of the squared errors the share that does not count, the smallest ones."""
LOW, HIGH = 0.9, 0.995
"""The quantiles of the maps of good images that become 0 and `TOP`."""
TOP = 0.1


def hard_mean(errors: Tensor, share: float = HARD) -> Tensor:
    """() the mean of the largest errors, all but `share` of them: the plain mean for a share of 0.

    At least one counts.
    """
    flat = errors.flatten()
    counting = max(1, math.ceil((1 - share) * len(flat) - 1e-6))
    return flat.topk(counting).values.mean()


def squared_distance(left: Tensor, right: Tensor) -> Tensor:
    """(n, h, w) the mean over the channels of the squared differences."""
    return (left - right).square().mean(dim=1)


@dataclass(frozen=True, slots=True)
class Scale:
    """The values of a map that become 0 and `TOP`, as tensors () or numbers; see `scale_of`."""

    low: float | Tensor
    high: float | Tensor

    def __call__(self, maps: Tensor) -> Tensor:
        """Maps (n, h, w) on the common scale, in which what is odder than one in 200 places of good images is over
        `TOP`."""
        return TOP * (maps - self.low) / (self.high - self.low)


def scale_of(values: Tensor) -> Scale:
    """The scale of maps of good images that the model did not learn from.

    Where both quantiles are equal (a perfect student: all errors are 0), their distance is taken for the least that a
    number can have, so that what is not different stays 0 and nothing is divided by 0.
    """
    import torch

    # torch.quantile takes no more than 16 million numbers; those of the sorted ones are the same
    ordered = values.flatten().float().sort().values
    low, high = (_quantile(ordered, q) for q in (LOW, HIGH))
    return Scale(low, torch.maximum(high, low + torch.finfo(low.dtype).tiny))


def _quantile(ordered: Tensor, q: float) -> Tensor:
    """() a quantile of sorted numbers (k,), interpolated between the two that it lies between."""
    place = q * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))
