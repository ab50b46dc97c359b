"""Little memory, really: the device is filled up, or the process may not have more."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

MIB = 2**20


def peak_of(work: Callable[[], object]) -> int:
    """Bytes of the CUDA device that `work` takes at its peak, beyond what is held."""
    settle("cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


@contextmanager
def room(size: int, device: str) -> Iterator[None]:
    """Meanwhile `size` bytes can be had and no more."""
    settle(device)
    with _full_card(size) if device == "cuda" else _small_process(size):
        yield
    settle(device)


@contextmanager
def _full_card(size: int) -> Iterator[None]:
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(free - size, dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del ballast


@contextmanager
def _small_process(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def settle(device: str) -> None:
    """Nothing is held that nobody uses."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
