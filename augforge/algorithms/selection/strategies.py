"""The ways to compute facility location for one class, and how much memory each takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from augforge.algorithms.selection.kernels import SPARSE_BYTES

Method = Literal["auto", "dense", "sparse", "partition", "naive"]

LEAST_ROWS = 1000  # no partition is made for fewer rows
MOST_ROWS = 32_768  # no part is larger: telling whom each row is nearest to takes time in proportion to its square


@dataclass(slots=True)
class Strategies:
    """Which way is taken for a class of n rows, and what was taken so far.

    `method` "auto" is dense where all similarities fit into `memory` bytes, sparse where those of the `neighbours`
    do, and partition where even they do not.
    """

    method: Method
    neighbours: int
    memory: int
    _taken: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method is {self.method!r}: give one of {', '.join(get_args(Method))}")
        if self.neighbours < 1:
            raise ValueError(f"neighbours is {self.neighbours}: give 1 or more")

    def take(self, n: int) -> str:
        """The way for a class of n rows; it is remembered."""
        strategy = self._strategy(n)
        self._taken.setdefault(strategy, []).append(n)
        return strategy

    def _strategy(self, n: int) -> str:
        if self.method != "auto":
            return self.method
        if self.bytes("dense", n) <= self.memory:
            return "dense"
        return "sparse" if n <= max(LEAST_ROWS, self.chunk(n)) else "partition"

    def chunk(self, n: int) -> int:
        """How many of n rows fit into memory with their neighbours."""
        return max(LEAST_ROWS, self.memory // (SPARSE_BYTES * min(self.neighbours, n)))

    def part(self, n: int) -> int:
        """How many of n rows a part has at most."""
        return min(MOST_ROWS, self.chunk(n))

    def bytes(self, strategy: str, n: int) -> int:
        """About how much memory the similarities of n rows take at most."""
        if strategy in ("dense", "naive"):
            return 4 * n * n
        rows = min(n, self.part(n)) if strategy == "partition" else n
        return SPARSE_BYTES * min(self.neighbours, n) * rows

    def note(self) -> str:
        """The ways taken, for how many rows, and their memory; empty if nothing had to be computed."""
        parts = []
        for strategy, sizes in sorted(self._taken.items()):
            classes = f"{len(sizes):,} classes of up to {max(sizes):,}" if len(sizes) > 1 else f"{sizes[0]:,}"
            parts.append(f"{strategy} for {classes} rows, about {_size(self.bytes(strategy, max(sizes)))}")
        return "; ".join(parts)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
