"""Points in lists of near ones: what makes neighbours and partitions of many points affordable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.points import Likeness, Points, blocks
from augforge.algorithms.selection.selection import Indices
from augforge.optional import require

_SAMPLE = 32  # rows per centre that k-means looks at,
_LEAST_SAMPLE = 8192  # and how many at least
_ROUNDS = 5
_LARGEST = 2  # no list is longer than this times the mean
_MARGIN = 1e-3  # angles and distances in float32 are better than this


@dataclass(frozen=True, slots=True)
class Lists:
    """The c lists; every row is in one.

    Attributes:
        rows: c arrays of row numbers.
        centres: (c, d) one point for each list, of unit length for angles.
        radii: (c,) no member is farther from its centre.
    """

    rows: list[Indices]
    centres: Points
    radii: Points


def lists_of(points: Points, likeness: Likeness, size: int) -> Lists:
    """Lists of about `size` and at most 2 `size` points (n, d), by k-means on a sample.

    The sample is taken by the rows' content, so that the order of rows does not matter.
    """
    order = content_order(points)
    count = -(-len(points) // size)
    centres = means_of(points[order[: max(_SAMPLE * count, _LEAST_SAMPLE)]], likeness, count)
    rows = list(_divided(order, nearest_centre(points, centres, likeness)[order], _LARGEST * size))
    found = [_ball(points[members], likeness) for members in rows]
    radii: Points = np.array([radius for _, radius in found], dtype=np.float32)
    return Lists(rows, np.stack([centre for centre, _ in found]), radii)


def content_order(points: Points) -> Indices:
    """(n,) row numbers sorted by a hash of each row: the same rows come first whatever their order was."""
    order: Indices = np.argsort(content_keys(points), kind="stable").astype(np.int64)
    return order


def content_keys(points: Points) -> NDArray[np.uint64]:
    """(n,) a hash of each row of points (n, d); equal rows have equal ones."""
    factors = np.random.default_rng(7).integers(1, 2**64, size=points.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(points), dtype=np.uint64)
    for rows in blocks(len(points), 2 * points.shape[1]):
        bits = (points[rows] + np.float32(0)).view(np.uint32)  # -0 becomes 0
        hashes[rows] = (bits * factors).sum(axis=1)
    hashes ^= hashes >> np.uint64(32)
    return hashes * np.uint64(0x9E3779B97F4A7C15)


def means_of(sample: Points, likeness: Likeness, count: int) -> Points:
    """(count, d) the centres that k-means finds in a sample (m, d); of length 1 for angles (spherical k-means)."""
    require("faiss")
    import faiss

    found = faiss.Kmeans(
        sample.shape[1],
        count,
        niter=_ROUNDS,
        spherical=likeness.angular(),
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=len(sample),
    )
    found.train(sample)
    return np.asarray(found.centroids, dtype=np.float32)


def nearest_centre(points: Points, centres: Points, likeness: Likeness) -> Indices:
    """(n,) the number of each point's nearest centre."""
    return nearest_centres(points, centres, likeness, 1)[:, 0]


def nearest_centres(points: Points, centres: Points, likeness: Likeness, count: int) -> Indices:
    """(n, count) the numbers of each point's nearest centres, the nearest one first."""
    require("faiss")
    import faiss

    metric = faiss.METRIC_INNER_PRODUCT if likeness.angular() else faiss.METRIC_L2
    owners: Indices = faiss.knn(points, centres, count, metric=metric)[1]
    return owners


def _divided(order: Indices, owners: Indices, largest: int) -> Iterator[Indices]:
    """The rows of each owner, in equal pieces where they are more than `largest`. Copies of one row are such."""
    by_owner = np.argsort(owners, kind="stable")
    for rows in np.split(order[by_owner], np.flatnonzero(np.diff(owners[by_owner])) + 1):
        yield from np.array_split(rows, -(-len(rows) // largest))


def _ball(members: Points, likeness: Likeness) -> tuple[Points, float]:
    """The centre (d,) of points (m, d), and how far the farthest is from it."""
    centre: Points = members.mean(axis=0, dtype=np.float64).astype(np.float32)
    if likeness.angular():
        length = float(np.linalg.norm(centre))
        centre = centre / length if length > 1e-3 else members[0]
    return centre, float(likeness.apart(members, centre[None]).max())


def nearest_beyond(points: Points, likeness: Likeness, lists: Lists, held: Indices) -> Points:
    """(m,) an upper bound on the similarity of each of `points` (m, d) to any member of a list that is not `held`.

    By the triangle inequality, a member is no nearer than its centre less the list's radius.
    """
    others = np.setdiff1d(np.arange(len(lists.rows)), held)
    if not len(others):
        return np.zeros(len(points), dtype=np.float32)
    gaps = likeness.apart(points, lists.centres[others]) - lists.radii[others]
    return likeness.at(np.maximum(gaps.min(axis=1) - _MARGIN, 0))
