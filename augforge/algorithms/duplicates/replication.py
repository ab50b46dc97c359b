"""Replication: which of other images is each image nearest to, by the vectors of a copy detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.optional import installed, require

Vectors = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]
Scores = NDArray[np.float64]
DECIMALS = 6
"""Cosines are rounded to so many, so that copies tie whatever the last bits of a product are."""
TIE = 2e-6
"""Cosines no further apart are those of one pair, rounded on two ways."""
NUMBERS = 1 << 24
"""So many cosines are in memory at a time."""
LARGE = 1 << 14
"""From so many others on faiss looks for the nearest, where it is installed: without a table of cosines."""
CANDIDATES = 8
"""So many are asked of faiss, so that the first of equal ones is among them."""


def nearest_of(images: Vectors, others: Vectors) -> tuple[Scores, Indices]:
    """(n,) the largest cosine of each image (n, d) to any of others (m, d), all of unit length, and (n,) which it is.

    Every pair is compared, of `LARGE` others by faiss's exact search, else in blocks of products. The first of equal
    ones is named. NaN and -1 where there are no others.
    """
    if len(others) >= LARGE and len(images) and installed("faiss"):
        return _by_faiss(images, others)
    return _by_products(images, others)


def _by_faiss(images: Vectors, others: Vectors) -> tuple[Scores, Indices]:
    """As `_by_products`. Where all candidates are copies of one another, the products say which is the first."""
    require("faiss")
    import faiss

    images, others = (np.ascontiguousarray(vectors, dtype=np.float32) for vectors in (images, others))
    found, places = faiss.knn(images, others, CANDIDATES, metric=faiss.METRIC_INNER_PRODUCT)
    scores = np.round(found.max(axis=1).astype(np.float64), DECIMALS)
    ties = found >= found.max(axis=1, keepdims=True) - TIE
    which: Indices = places[:, 0].copy()
    for row in _several(ties):
        which[row] = _first(images[row], others, np.sort(places[row][ties[row]]))
    crowded = np.flatnonzero(ties.all(axis=1))
    if len(crowded):
        scores[crowded], which[crowded] = _by_products(images[crowded], others)
    return scores, which


def _several(ties: NDArray[np.bool_]) -> list[int]:
    """The rows in which more than one is nearest."""
    return np.flatnonzero(ties.sum(axis=1) > 1).tolist()


def _first(image: Vectors, others: Vectors, places: Indices) -> int:
    """Of others at `places`, rising, the first one that is nearest to an image (d,), however they were found."""
    cosines = np.round(others[places].astype(np.float64) @ image.astype(np.float64), DECIMALS)
    return int(places[cosines.argmax()])


def _by_products(images: Vectors, others: Vectors) -> tuple[Scores, Indices]:
    """Every cosine, in blocks."""
    scores, which = np.full(len(images), np.nan), np.full(len(images), -1, dtype=np.int64)
    if not len(others):
        return scores, which
    columns = others.astype(np.float32).T
    step = max(1, NUMBERS // len(others))
    for start in range(0, len(images), step):
        rows = slice(start, start + step)
        cosines = images[rows].astype(np.float32) @ columns
        best = cosines.max(axis=1)
        scores[rows] = np.round(best.astype(np.float64), DECIMALS)
        which[rows] = cosines.argmax(axis=1)
        ties = cosines >= (best - TIE)[:, None]
        for row in _several(ties):
            which[start + row] = _first(images[start + row], others, np.flatnonzero(ties[row]))
    return scores, which


def nearest_parent(images: Vectors, children: Indices, parents: Vectors) -> tuple[Scores, Indices]:
    """The same of each image and its own parents: image `children[k]` has the parent `parents[k]`, of q in all."""
    scores, which = np.full(len(images), np.nan), np.full(len(images), -1, dtype=np.int64)
    if not len(children):
        return scores, which
    cosines = np.round(np.einsum("qd,qd->q", images[children], parents, dtype=np.float64), DECIMALS)
    for place in np.lexsort((np.arange(len(children)), -cosines))[::-1].tolist():  # the best one is written last
        scores[children[place]], which[children[place]] = cosines[place], place
    return scores, which
