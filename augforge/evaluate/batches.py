"""Batches: half of them real, exactly, wherever there are others too; or real ones that others stand in for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Children = Mapping[int, Rows]
"""For the row of a real image, the rows (m,) that were made from it."""


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


def replaced(real: Rows, made: Children, share: float, random: np.random.Generator) -> Rows:
    """(b,) real rows (b,), of which each gives its place with probability `share` to a row made from it, any of them.

    A row that nothing was made from stays. After DA-Fusion (Trabucco et al., ICLR 2024, arXiv 2302.07944), where a half
    is replaced.
    """
    given = random.random(len(real)) < share
    which = random.random(len(real))
    found = real.copy()
    for place in np.flatnonzero(given).tolist():
        children = made.get(int(real[place]), ())
        if len(children):
            found[place] = children[int(which[place] * len(children))]
    return found


def with_replacement(
    real: Rows, made: Children, share: float, size: int, steps: int, random: np.random.Generator
) -> Iterator[Rows]:
    """`steps` batches (size,) drawn from `real` with replacement, then `replaced`."""
    for _ in range(steps):
        yield replaced(real[random.integers(len(real), size=size)], made, share, random)


def children_of(ids: Sequence[str], parents: Sequence[Sequence[str]], real: NDArray[np.bool_]) -> dict[int, Rows]:
    """For the row of each real image, the rows (m,) that were made from it, at whatever remove.

    Args:
        ids: (n,) of all images.
        parents: (n,) the ids of those that each was made from.
        real: (n,) which are real.
    """
    places = {identity: place for place, identity in enumerate(ids)}
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(~real).tolist():
        for origin in _origins(row, places, parents, real):
            found.setdefault(origin, []).append(row)
    return {place: np.array(rows, dtype=np.int64) for place, rows in found.items()}


def _origins(
    row: int, places: Mapping[str, int], parents: Sequence[Sequence[str]], real: NDArray[np.bool_]
) -> list[int]:
    """The rows of the real images above one that was made."""
    waiting, met, found = list(parents[row]), set[int](), list[int]()
    while waiting:
        place = places.get(waiting.pop())
        if place is None or place in met:
            continue
        met.add(place)
        if real[place]:
            found.append(place)
        else:
            waiting += parents[place]
    return sorted(found)


def _passes(rows: Rows, random: np.random.Generator) -> Iterator[int]:
    """Every row once in random order, then again in another order, and so on."""
    while len(rows):
        yield from random.permutation(rows).tolist()
