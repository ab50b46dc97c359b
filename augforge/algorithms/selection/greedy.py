"""Greedy maximisation of facility location, step by step and lazily. Both give the same answer."""

from __future__ import annotations

import heapq

import numpy as np

from augforge.algorithms.selection.kernels import Kernel
from augforge.algorithms.selection.points import Points
from augforge.algorithms.selection.selection import Floats, Indices

Choice = tuple[Indices, Floats, Points]


def naive_greedy(kernel: Kernel, budget: int) -> Choice:
    """Measure every gain anew at every step. The reference for `lazy_greedy`, which see."""
    cover: Points = np.zeros(kernel.n, dtype=np.float32)
    chosen: list[int] = []
    gains: list[float] = []
    for _ in range(budget):
        found = kernel.gains(cover)
        found[chosen] = -1
        chosen.append(int(found.argmax()))
        gains.append(float(found[chosen[-1]]))
        kernel.add(chosen[-1], cover)
    return np.array(chosen, dtype=np.int64), np.array(gains, dtype=np.float64), cover


def lazy_greedy(kernel: Kernel, budget: int) -> Choice:
    """Choose the largest gain again and again; among equal gains the lowest index.

    A gain never grows as more is chosen (f is submodular), so an old gain is an upper bound, and only candidates
    that come to the top of a heap of old gains are measured anew (Minoux, 1978, *Accelerated greedy algorithms for
    maximizing submodular set functions*).

    Returns:
        (budget,) the chosen in order, (budget,) their gains, (n,) how well each point is represented in `kernel`.
    """
    cover: Points = np.zeros(kernel.n, dtype=np.float32)
    heap = list(zip((-kernel.gains(cover)).tolist(), range(kernel.n), strict=True))
    heapq.heapify(heap)
    measured_at = [0] * kernel.n  # how many had been chosen when the gain was measured
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < budget:
        negative_gain, j = heap[0]
        if measured_at[j] != len(chosen):
            measured_at[j] = len(chosen)
            heapq.heapreplace(heap, (-kernel.gain(j, cover), j))
            continue
        heapq.heappop(heap)
        chosen.append(j)
        gains.append(-negative_gain)
        kernel.add(j, cover)
    return np.array(chosen, dtype=np.int64), np.array(gains, dtype=np.float64), cover
