"""A long tail: class sizes decrease exponentially, as in the long-tailed versions of CIFAR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.io.base import natural
from augforge.stages.selector import Subsampler


class LongTail(Subsampler):
    """Keep n * imbalance^(-i / (C - 1)) real training images of class i of C, n the size of the largest class.

    Classes are in the natural order of their names; a class with fewer images keeps all of them. With imbalance 100 it
    is CIFAR-10-LT (Cui et al., CVPR 2019; Cao et al., NeurIPS 2019): 5000, 2997, 1796, 1077, 645, 387, 232, 139, 83,
    50.
    """

    name: ClassVar[str] = "long-tail"
    example: ClassVar[Mapping[str, Any]] = {"imbalance": 4}

    imbalance: float = Field(default=100.0, ge=1, description="Size of the first class divided by that of the last.")

    def max_per_class(self, counts: Mapping[str, int]) -> dict[str, int]:
        """The published sizes, rounded down, but at least 1."""
        largest, last = max(counts.values(), default=0), max(1, len(counts) - 1)
        order = sorted(counts, key=natural)
        return {
            label: max(1, int(largest * self.imbalance ** (-place / last) + 1e-9)) for place, label in enumerate(order)
        }
