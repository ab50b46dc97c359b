"""What a device can do, and what a piece of work takes of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def on_device(work: Callable[[], Result], device: str) -> tuple[Result, int]:
    """What `work` returns, and the bytes of the device that it took at its peak beyond what was held; 0 on a CPU."""
    import torch

    gc.collect()
    if device == "cpu":
        return work(), 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    return work(), torch.cuda.max_memory_allocated() - held


def weights_of(pipe: Any) -> int:
    """Bytes of the weights of a diffusers pipeline."""
    nets = [part for part in pipe.components.values() if hasattr(part, "parameters")]
    return sum(weight.numel() * weight.element_size() for net in nets for weight in net.parameters())


def peak_flops(device: str, dtype: Any, smoke: bool, products: int = 10) -> float:
    """FLOPs a second of the product of two large square matrices of random numbers."""
    import torch

    side = 256 if smoke else 1024 if device == "cpu" else 8192
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = 0.0
    for count in (3, products):  # the first are for warming up
        started = time.perf_counter()
        for _ in range(count):
            product = one @ other
        product[0, 0].item()  # waits for the device
        seconds = time.perf_counter() - started
    return 2 * side**3 * products / seconds
