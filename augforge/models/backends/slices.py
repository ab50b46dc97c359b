"""Work on many rows in slices that shrink when memory runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

from augforge.errors import ModelError

Part = TypeVar("Part")


class Slices:
    """Runs work on rows [0, n) in slices of at most `size`; out of memory halves the size, for good, and goes on.

    Attributes:
        size: how many rows go at once; None is all of them.
    """

    def __init__(self, size: int | None) -> None:
        self.size = size

    def run(self, count: int, work: Callable[[int, int], Part]) -> list[Part]:
        """`work(start, stop)` on every slice, in order; every row is in exactly one of the results.

        Raises:
            ModelError: one row alone does not fit.
        """
        parts: list[Part] = []
        start = 0
        while start < count:
            stop = min(start + (self.size or count), count)
            fitted = self._attempt(work, start, stop)
            if fitted:
                parts += fitted
                start = stop
            else:
                free_memory()  # here, where the error no longer holds the failed call's tensors
        return parts

    def _attempt(self, work: Callable[[int, int], Part], start: int, stop: int) -> list[Part]:
        """The one result; nothing, and the size halved, where memory ran out."""
        try:
            return [work(start, stop)]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if stop - start == 1:
                raise ModelError(
                    f"not even one image fits into the device's memory: {error}", "use a smaller size or half precision"
                ) from error
            self.size = (stop - start) // 2
            return []


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that the device's memory is full."""
    import torch

    said = str(error)  # cuBLAS, cuDNN and the CPU's allocator raise a plain RuntimeError
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "can't allocate memory" in said


def free_memory() -> None:
    """Give back what a failed call had reserved."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
