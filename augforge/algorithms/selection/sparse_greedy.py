"""Greedy maximisation over each point's nearest neighbours, with all gains kept up to date.

When a point is chosen, only the gains of those candidates change that are neighbours of a point that is now better
represented. They are few, so that updating them costs less than the lazy evaluation of `lazy_greedy`.
"""

from __future__ import annotations

import numpy as np

from augforge.algorithms.selection.greedy import Choice
from augforge.algorithms.selection.kernels import Sparse
from augforge.algorithms.selection.points import Points
from augforge.algorithms.selection.selection import Floats, Indices

_REFRESH = 8  # the others are looked at whenever the chosen are more by an eighth
_BLOCK_NUMBERS = 1 << 18


def sparse_greedy(kernel: Sparse, budget: int, weights: Floats | None = None) -> Choice:
    """Choose the largest gain again and again; among equal gains the lowest index.

    The gain of j is sum_i max(S_ij - cover_i, 0) over the points i that have j among their neighbours. cover_i is the
    similarity to the most similar chosen neighbour. For a point that has none yet, it is the similarity to the most
    similar of all the chosen, brought up to date whenever their number has grown by an eighth: with 0 instead, such
    points would count for more than they are worth, and they are most of them while few are chosen.

    With `weights` (n,), in steps of 1/16, each point counts so many times: it stands for others that are not here.

    A larger budget only adds. Gains never grow from one choice to the next. With all points as neighbours, the answer
    is that of `lazy_greedy` on the dense kernel.

    Returns:
        (budget,) the chosen in order, (budget,) their gains, (n,) how similar each point is to its most similar
        chosen neighbour, 0 where there is none.
    """
    state = _State(kernel, weights)
    chosen, gains = np.empty(budget, dtype=np.int64), np.empty(budget, dtype=np.float64)
    refreshed = 0
    for step in range(budget):
        chosen[step], gains[step] = state.choose()
        if _REFRESH * (step + 1 - refreshed) > step:
            state.refresh(chosen[refreshed : step + 1])
            refreshed = step + 1
    return chosen, gains, np.where(state.near, state.cover, 0)


class _State:
    """What the chosen points cover so far: `cover` (n,), `gains` (n,), and `near` (n,) who has a chosen neighbour."""

    def __init__(self, kernel: Sparse, weights: Floats | None) -> None:
        self._kernel, self._weights = kernel, weights
        self._rows = max(1, _BLOCK_NUMBERS // kernel.neighbours.shape[1])
        self.cover: Points = np.zeros(kernel.n, dtype=np.float32)
        self.gains = kernel.gains(self.cover, weights)
        self.near = np.zeros(kernel.n, dtype=bool)

    def choose(self) -> tuple[int, float]:
        """Choose the point with the largest gain; which it is, and its gain."""
        j = int(self.gains.argmax())
        gain = float(self.gains[j])
        rows, values = self._kernel.represented_by(j)
        self.near[rows] = True
        self._raise(rows, values)
        self.gains[j] = -1  # never again
        return j, gain

    def refresh(self, chosen: Indices) -> None:
        """Look at the similarities to `chosen` (c,) of those points that have no chosen neighbour."""
        rest = np.flatnonzero(~self.near)
        for start in range(0, len(rest), self._rows):
            rows = rest[start : start + self._rows]
            self._raise(rows, self._kernel.between(rows, chosen).max(axis=1))

    def _raise(self, rows: Indices, values: Points) -> None:
        """Let `rows` (m,) be covered by at least `values` (m,), and lower the gains of their neighbours accordingly."""
        better = values > self.cover[rows]
        rows, values = rows[better], values[better]
        for start in range(0, len(rows), self._rows):
            part = rows[start : start + self._rows]
            old, new = self.cover[part, None], values[start : start + self._rows, None]
            lost = (np.clip(self._kernel.similarities[part], old, new) - old).astype(np.float64)
            if self._weights is not None:
                lost *= self._weights[part, None]
            np.subtract.at(self.gains, self._kernel.neighbours[part].ravel(), lost.ravel())
            self.cover[part] = new[:, 0]
