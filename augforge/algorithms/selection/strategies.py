"""The ways to compute facility location for one class: how long each takes, how much memory, and which one to take.

Dense and sparse are compared by a model of their time, for n rows of d numbers, a budget of b and k neighbours. m is
how many rows each one is compared with: n, or in lists the `CANDIDATES` and half a list.

    dense     PRODUCT n n d + ENTRY n n + EVALUATION b n + ROW n
    sparse    PRODUCT n m d (in lists LIST_PRODUCT) + COMPARED n m + NEIGHBOUR n k + UPDATE b k

Their memory is 4 n n and `SPARSE_BYTES` n k bytes. The model counts on lists that find the neighbours; where they do
not, which depends on the data, sparse chooses twice and takes about as long as dense in a fraction of its memory. The
constants are nanoseconds, fitted to the CPU time of one thread
by `OMP_NUM_THREADS=1 python benchmarks/selection_model.py` (AMD EPYC, OpenBLAS). They are part of the method: the same
n, d, b and k take the same way on every machine, however fast it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from augforge.algorithms.selection.kernels import SPARSE_BYTES, SPARSE_EXACT_ROWS
from augforge.algorithms.selection.neighbours import CANDIDATES, LIST_ROWS

Method = Literal["auto", "dense", "sparse", "partition", "distributed", "naive"]

LEAST_ROWS = 1000  # no partition is made for fewer rows
MOST_ROWS = 32_768  # no part is larger: telling whom each row is nearest to takes time in proportion to its square
MERGED_ROWS = 131_072  # no more are chosen from at once when what parts gave is put together
DENSE_ROWS = 3000  # up to so many, the greedy choice over all similarities takes 34 MiB and little time
POINTS = 4  # the points of a class may take so many times the memory for similarities; beyond, they are read by rows
REACH = 2.0  # the chosen must have so many times n neighbours in all: with fewer, sparse was under 99.95 % of dense

PRODUCT, LIST_PRODUCT = 0.0162, 0.0282
ENTRY, EVALUATION, ROW = 10.4, 11.6, 1.92e4
COMPARED, NEIGHBOUR, UPDATE = 6.27, 27.2, 73.8

_EXACT = "at least 63 % (1 - 1/e) of the best possible objective on any data"
_BOUNDED = "no share of the best possible objective on all data; on these, objective / upper bound"


def terms(strategy: Literal["dense", "sparse"], n: int, d: int, budget: int, neighbours: int) -> tuple[float, ...]:
    """What the eight constants, in the order above, are multiplied by."""
    if strategy == "dense":
        return float(n * n * d), 0.0, float(n * n), float(budget * n), float(n), 0.0, 0.0, 0.0
    k = min(neighbours, n)
    in_lists = n > SPARSE_EXACT_ROWS and 4 * k < n
    compared = n * (max(CANDIDATES, 4 * k) + LIST_ROWS // 2 if in_lists else n)
    products = (0.0, float(compared * d)) if in_lists else (float(compared * d), 0.0)
    return *products, 0.0, 0.0, 0.0, float(compared), float(n * k), float(budget * k)


def nanoseconds(strategy: Literal["dense", "sparse"], n: int, d: int, budget: int, neighbours: int) -> float:
    """About how long a class takes, by the model of this module."""
    constants = (PRODUCT, LIST_PRODUCT, ENTRY, EVALUATION, ROW, COMPARED, NEIGHBOUR, UPDATE)
    return math.fsum(c * t for c, t in zip(constants, terms(strategy, n, d, budget, neighbours), strict=True))


@dataclass(slots=True)
class Strategies:
    """Which way is taken for a class, and what was taken so far.

    `method` "auto" is dense where all similarities fit into `memory` bytes and, beyond `DENSE_ROWS` rows, are not
    slower than sparse would be; otherwise sparse where the similarities of the `neighbours` fit; else partition where
    the points themselves take no more than `POINTS` times the memory, and else distributed.
    Where the chosen have too few neighbours in all for sparse to be close to dense (`REACH`), it is not asked for time.
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

    def take(self, n: int, d: int, budget: int) -> str:
        """The way for a class of n rows of d numbers; it is remembered."""
        strategy = self._strategy(n, d, budget)
        self._taken.setdefault(strategy, []).append(n)
        return strategy

    def _strategy(self, n: int, d: int, budget: int) -> str:
        if self.method != "auto":
            return self.method
        if self.bytes("dense", n) <= self.memory and not self._sparse_is_better(n, d, budget):
            return "dense"
        return "sparse" if n <= max(LEAST_ROWS, self.chunk(n)) else "partition"

    def take_distributed(self, n: int, d: int, budget: int) -> bool:
        """Whether a class is chosen from in parts that are read by rows; if so, it is remembered."""
        beyond = 4 * n * d > POINTS * self.memory and self._strategy(n, d, budget) == "partition"
        distributed = self.method == "distributed" or (self.method == "auto" and beyond)
        if distributed:
            self._taken.setdefault("distributed", []).append(n)
        return distributed

    def _sparse_is_better(self, n: int, d: int, budget: int) -> bool:
        if n <= DENSE_ROWS or budget * self.neighbours < REACH * n or self.bytes("sparse", n) > self.memory:
            return False
        sizes = (n, d, budget, self.neighbours)
        return nanoseconds("sparse", *sizes) < nanoseconds("dense", *sizes)

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
        if strategy == "distributed":
            return SPARSE_BYTES * self.neighbours * min(n, MERGED_ROWS)
        rows = min(n, self.part(n)) if strategy == "partition" else n
        return SPARSE_BYTES * min(self.neighbours, n) * rows

    def note(self) -> str:
        """The ways taken, for how many rows, their memory and guarantee; empty if nothing had to be computed."""
        parts = []
        for strategy, sizes in sorted(self._taken.items()):
            classes = f"{len(sizes):,} classes of up to {max(sizes):,}" if len(sizes) > 1 else f"{sizes[0]:,}"
            memory = _size(self.bytes(strategy, max(sizes)))
            parts.append(f"{strategy} for {classes} rows, about {memory}, guarantees {guarantee_of(strategy)}")
        return "; ".join(parts)


def guarantee_of(method: str) -> str:
    """What a selection guarantees that was computed by `method`, such as "dense" or "dense, sparse"."""
    greedy = {"sparse", "partition", "distributed"}.isdisjoint(method.split(", "))
    return _EXACT if greedy else _BOUNDED


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
