"""Groups of near-duplicates: what hangs together through near pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.distinct import NARROW_ROWS
from augforge.algorithms.duplicates.hashes import NO_STRUCTURE, Hashes
from augforge.algorithms.duplicates.pairs import Pairs, Tell, pair_blocks

Labels = NDArray[np.signedinteger[Any]]

_HELD = 1 << 21  # pairs


def groups_of(
    hashes: Hashes, ids: Sequence[str], distance: int = 6, *, flips: bool = True, tell: Tell | None = None
) -> list[str]:
    """(n,) the group of each image, named by the smallest id in it; an image without near-duplicates is its own.

    Near is at most `distance` bits, mirrored or not (`flips`), and near to near counts too: two ends of a long chain
    may be far from each other. `NO_STRUCTURE` is near to none. The order of images does not matter, and another image
    can join groups but never divides one. Memory is bounded, however many pairs are near.
    """
    if len(hashes) != len(ids):
        raise ValueError(f"there are {len(ids)} ids for {len(hashes)} hashes")
    distinct, kind = np.unique(hashes, return_inverse=True)
    near = components(len(distinct), (pairs for pairs, _ in pair_blocks(distinct, distance, flips=flips, tell=tell)))
    group = near[kind]
    alone = np.flatnonzero(hashes == NO_STRUCTURE)
    group[alone] = len(distinct) + alone
    return _named(group, ids)


def components(n: int, blocks: Iterable[Pairs]) -> Labels:
    """(n,) a number for each row that is the same for all rows that pairs (p, 2) connect, directly or not."""
    labels: Labels = np.arange(n).astype(np.int32 if n <= NARROW_ROWS else np.int64)
    held: list[Pairs] = []
    count = 0
    for pairs in blocks:
        held.append(pairs)
        count += len(pairs)
        if count > _HELD:
            labels, held, count = _merged(labels, held), [], 0
    return _merged(labels, held)


def _merged(labels: Labels, held: list[Pairs]) -> Labels:
    """`labels` (n,) of components so far, with those joined that the pairs connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not held:
        return labels
    met, ends = np.unique(labels[np.concatenate(held)], return_inverse=True)
    one, other = ends.reshape(-1, 2).T
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(met), len(met)))
    _, joined = connected_components(graph, directed=False)
    _, first = np.unique(joined, return_index=True)
    merged = np.arange(len(labels), dtype=labels.dtype)
    merged[met] = met[first[joined]]
    return merged[labels]


def _named(group: Labels, ids: Sequence[str]) -> list[str]:
    smallest: dict[int, str] = {}
    for number, identity in zip(group.tolist(), ids, strict=True):
        smallest[number] = min(smallest.get(number, identity), identity)
    return [smallest[number] for number in group.tolist()]
