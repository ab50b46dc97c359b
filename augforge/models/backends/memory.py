"""How many images of a model fit into the memory of a GPU."""

from __future__ import annotations

from collections.abc import Callable
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
    import numpy as np
    import torch
    from PIL import Image

    from augforge.models.backends import Request

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    side = max(getattr(backend, "native_size", None) or (512, 512))
    blank = [Image.new("RGB", (side, side), "grey")] * size
    condition: dict[str, Any] = {"images": blank} if "image" in backend.carries else {}
    if "embedding" in backend.carries:
        condition["embeds"] = backend.embed(blank, size)
    if "mask" in backend.carries:
        condition["masks"] = [np.ones((side, side), bool)] * size
    words: dict[str, Any] = {"prompts": ["a photo"] * size, "negatives": [""] * size, "seeds": [0] * size}
    steps = 1 if "mask" in backend.carries else 2  # of RePaint's, 1 is what every model can take
    backend.generate(Request(**words, steps=steps, guidance=guidance, strength=1.0, **condition))
    return int(torch.cuda.max_memory_allocated() - before)
