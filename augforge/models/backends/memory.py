"""How many images of a model fit into the memory of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any


def largest_batch(memory_of: Callable[[int], int], free: int, most: int = 256) -> int:
    """The largest power of two up to `most` whose memory, extrapolated from 1 and 2 images, fits into 80 % of `free`.

    Args:
        memory_of: peak bytes of a call with this many images.
        free: free bytes.
        most: the largest batch size to return.
    """
    one, two = memory_of(1), memory_of(2)
    each = max(1, two - one)
    fitting = max(1, int((0.8 * free - one) // each) + 1)
    return min(most, 1 << (fitting.bit_length() - 1))


def free_memory() -> int:
    """Bytes that are free on the current GPU."""
    import torch

    return int(torch.cuda.mem_get_info()[0])


def memory_of(backend: Any, size: int, guidance: float) -> int:
    """Bytes that one step with `size` images takes at its peak, beyond the weights."""
    import torch

    from augforge.models.backends.rows import made_up

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    side = max(getattr(backend, "native_size", None) or (512, 512))
    backend.generate(replace(made_up(backend, range(size), (side, side)), guidance=guidance, strength=1.0))
    return int(torch.cuda.max_memory_allocated() - before)
