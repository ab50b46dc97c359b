"""Vectors as points, and how alike two of them are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Similarity = Literal["cosine", "euclidean", "exponential"]
Points = NDArray[np.float32]

_BLOCK_BYTES = 4 << 20  # what passes over numbers take at a time: about a cache
_PRODUCT_ROWS = 1024  # what matrix products take at a time: with fewer rows they are much slower


def checked(features: ArrayLike, similarity: Similarity) -> NDArray[Any]:
    """`features` as an array (n, d) of finite numbers; ValueError names the first row that is not finite."""
    if similarity not in get_args(Similarity):
        raise ValueError(f"similarity is {similarity!r}: give one of {', '.join(get_args(Similarity))}")
    array = np.asarray(features)
    if array.ndim != 2:
        raise ValueError(f"features have shape {array.shape}: give (n, d)")
    for rows in blocks(len(array), array.shape[1]):
        finite = np.isfinite(array[rows]).all(axis=1)
        if not finite.all():
            raise ValueError(f"features: row {rows.start + int(finite.argmin())} is not finite")
    return array


def placed(features: NDArray[Any], similarity: Similarity) -> tuple[Points, float]:
    """The class's features (n, d) as points of length at most 1, and the length that became 1. Copies.

    cosine: every row to length 1. A row of zeros has no direction; such rows get a new axis of their own, so they
    are alike among themselves and unlike all others. euclidean: centred, then scaled as a whole to fit the ball of
    diameter 1, which no two points can be further apart than. exponential: the same.
    """
    if similarity == "cosine":
        return _directions(features), 1.0
    centred = features - features.mean(axis=0, dtype=np.float64)
    diameter = 2 * float(np.sqrt(np.einsum("ij,ij->i", centred, centred).max(initial=0.0))) or 1.0
    return np.ascontiguousarray(centred / diameter, dtype=np.float32), diameter


def _directions(features: NDArray[Any]) -> Points:
    points, zero = directions(features)
    return np.hstack([points, zero[:, None].astype(np.float32)]) if zero.any() else points


def directions(features: NDArray[Any]) -> tuple[Points, NDArray[np.bool_]]:
    """The features (n, d) with every row made length 1, and which rows (n,) have no direction: they stay zeros."""
    wide = features.astype(np.result_type(features, np.float32), copy=False)
    largest = np.maximum(wide.max(axis=1, initial=0), -wide.min(axis=1, initial=0))
    zero = largest == 0
    wide = wide / np.where(zero, 1, largest)[:, None]  # first to about 1: squares must neither overflow nor vanish
    points: Points = np.ascontiguousarray(wide, dtype=np.float32)
    points /= np.where(zero, 1, np.sqrt(np.einsum("ij,ij->i", points, points)))[:, None]
    return points, zero


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two placed points are, in [0, 1] and in steps of 2**-20.

    cosine: max(cos, 0). euclidean: 1 - distance, of points in a ball of diameter 1. exponential: exp(-rate x
    distance).
    """

    similarity: Similarity
    rate: float = 1.0

    def between(self, left: Points, right: Points, out: Points | None = None) -> Points:
        """(m, n) similarities of points (m, d) and (n, d), in one matrix product, into `out` if given."""
        if self.similarity == "cosine":
            products: Points = np.matmul(left, right.T, out=out)
            return rounded(np.clip(products, 0, 1, out=products))
        squares = squared_distances(left, right, out)
        return self.at(np.sqrt(squares, out=squares))

    def angular(self) -> bool:
        """Whether `apart` and `at` take angles rather than distances."""
        return self.similarity == "cosine"

    def apart(self, left: Points, right: Points) -> Points:
        """(m, n) how far points are apart: a metric (angles or distances) that similarity falls with."""
        if self.angular():
            products: Points = left @ right.T
            np.clip(products, -1, 1, out=products)
            return np.arccos(products, out=products)
        squares = squared_distances(left, right)
        return np.sqrt(squares, out=squares)

    def at(self, apart: Points) -> Points:
        """The similarities of points that are `apart` so far, in place."""
        if self.angular():
            np.cos(np.minimum(apart, np.pi / 2, out=apart), out=apart)
        elif self.similarity == "euclidean":
            np.subtract(1, np.minimum(apart, 1, out=apart), out=apart)
        else:
            np.exp(np.multiply(apart, -self.rate, out=apart), out=apart)
        return rounded(apart)


def likeness_of(similarity: Similarity, scale: float, width: float) -> Likeness:
    """The likeness of points that `placed` divided by `scale`; exponential is exp(-distance / width)."""
    return Likeness(similarity, min(scale / width, 1e9) if similarity == "exponential" else 1.0)


def squared_distances(left: Points, right: Points, out: Points | None = None) -> Points:
    """(m, n) squared distances of points (m, d) and (n, d), in one matrix product."""
    squares: Points = np.matmul(left, right.T, out=out)
    squares *= -2
    squares += np.einsum("ij,ij->i", left, left)[:, None]
    squares += np.einsum("ij,ij->i", right, right)
    return rounded(np.maximum(squares, 0, out=squares))


def rounded(values: Points) -> Points:
    """`values` in [0, 8) to the nearest multiple of 2**-20, in place.

    About as fine as a float32 inner product is accurate. Two things follow: duplicates are exactly alike, and any
    sum of up to 2**30 of them is exact in float64, so that gains do not depend on the order of summation.
    """
    values += 8  # between 8 and 16 the float32 numbers are 2**-20 apart
    values -= 8
    return values


def product_blocks(n: int) -> Iterator[slice]:
    """Slices of n rows for matrix products with as many."""
    for start in range(0, n, _PRODUCT_ROWS):
        yield slice(start, min(n, start + _PRODUCT_ROWS))


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices of n rows of `width` float32, each within a fixed amount of memory."""
    step = max(1, _BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))
