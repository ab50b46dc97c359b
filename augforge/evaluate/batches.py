"""Batches: half of them real, exactly, wherever there are others too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def half_and_half(real: Rows, others: Rows, size: int, steps: int, random: np.random.Generator) -> Iterator[Rows]:
    """`steps` batches (size,): half drawn from `real` with replacement, half from shuffled passes over `others`.

    Real ones come first. Without others, all of a batch is real. After arXiv 2502.04475: 256 synthetic and 256 real in
    a batch of 512, whatever their numbers.

    Raises:
        ValueError: `size` is odd, or there is nothing real.
    """
    if size % 2 or not len(real):
        raise ValueError(f"a batch of {size} from {len(real)} real images: it needs two halves and something real")
    half = size // 2 if len(others) else size
    passes = _passes(others, random)
    for _ in range(steps):
        drawn = real[random.integers(len(real), size=half)]
        made = [next(passes) for _ in range(size - half)]
        yield np.concatenate([drawn, np.array(made, dtype=np.int64)])


def _passes(rows: Rows, random: np.random.Generator) -> Iterator[int]:
    """Every row once in random order, then again in another order, and so on."""
    while len(rows):
        yield from random.permutation(rows).tolist()
