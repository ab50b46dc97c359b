"""Neighbours and lists: exact where they say so, close where they do not, and never a bound that is too low."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity
from augforge.algorithms.selection.lists import content_order, lists_of, nearest_beyond
from augforge.algorithms.selection.neighbours import Neighbours, nearest
from augforge.algorithms.selection.points import Likeness, likeness_of, placed
from tests.algorithms.selection.reference import cloud

SIMILARITIES: tuple[Similarity, ...] = ("cosine", "euclidean", "exponential")

ROUNDING = 1e-5  # a distance is the root of a float32 difference, and depends on how the processor adds up


def points_of(features: np.ndarray, similarity: Similarity) -> tuple[np.ndarray, Likeness]:
    points, scale = placed(features, similarity)
    return points, likeness_of(similarity, scale, features.shape[1])


def mixture(n: int, d: int = 16, centres: int = 30, seed: int = 4) -> np.ndarray:
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(centres, d))[draw.integers(centres, size=n)] + 0.5 * draw.normal(size=(n, d))
    return rows.astype(np.float32)


def left_out(points: np.ndarray, likeness: Likeness, found: Neighbours) -> np.ndarray:
    """(n,) the largest similarity of each point to one that is not among its neighbours."""
    everything = likeness.between(points, points)
    np.put_along_axis(everything, found.near.astype(np.int64), -1, axis=1)
    return everything.max(axis=1)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_few_points_are_compared_with_all(similarity: Similarity) -> None:
    points, likeness = points_of(cloud(0, 300), similarity)
    found = nearest(points, likeness, 10)
    everything = likeness.between(points, points)
    np.fill_diagonal(everything, 1)
    np.testing.assert_allclose(np.sort(found.values), np.sort(everything)[:, -10:], atol=ROUNDING)
    np.testing.assert_array_equal(found.values.min(axis=1), found.edge)
    assert (found.near == np.arange(300)[:, None]).any(axis=1).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_many_points_find_most_of_their_neighbours(similarity: Similarity) -> None:
    points, likeness = points_of(mixture(6000), similarity)
    exact, found = nearest(points, likeness, 20), nearest(points, likeness, 20, exact_rows=1000)
    same = [len(set(a) & set(b)) for a, b in zip(exact.near.tolist(), found.near.tolist(), strict=True)]
    assert np.mean(same) > 0.97 * 20
    assert (found.near == np.arange(6000)[:, None]).any(axis=1).all()
    rows = np.arange(6000)[:, None]
    true = likeness.between(points, points)[rows, found.near]
    np.testing.assert_allclose(np.where(found.near == rows, 1, true), found.values, atol=ROUNDING)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_nothing_left_out_exceeds_the_edge(similarity: Similarity) -> None:
    for features in (mixture(4000), cloud(1, 4000, d=4), np.repeat(cloud(2, 40), 100, axis=0)):
        points, likeness = points_of(features, similarity)
        found = nearest(points, likeness, 20, exact_rows=1000)
        assert (left_out(points, likeness, found) <= found.edge + ROUNDING).all()


def test_the_worst_kept_similarity_would_be_a_wrong_edge() -> None:
    points, likeness = points_of(cloud(1, 4000, d=4), "cosine")
    found = nearest(points, likeness, 20, exact_rows=1000)
    assert (left_out(points, likeness, found) > found.values.min(axis=1) + ROUNDING).any()


def test_ties_go_to_the_lowest_row() -> None:
    points, likeness = points_of(np.ones((50, 3), dtype=np.float32), "cosine")
    found = nearest(points, likeness, 5)
    assert np.sort(found.near[:4]).tolist() == [[0, 1, 2, 3, 4]] * 4
    assert np.sort(found.near[30]).tolist() == [0, 1, 2, 3, 30]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_lists_hold_every_row_once_within_their_radius(similarity: Similarity) -> None:
    points, likeness = points_of(mixture(3000), similarity)
    lists = lists_of(points, likeness, 100)
    assert sorted(np.concatenate(lists.rows).tolist()) == list(range(3000))
    assert max(len(rows) for rows in lists.rows) <= 200
    for rows, centre, radius in zip(lists.rows, lists.centres, lists.radii, strict=True):
        assert likeness.apart(points[rows], centre[None]).max() <= radius + 1e-6


def test_copies_do_not_make_a_long_list() -> None:
    points, likeness = points_of(np.ones((5000, 3), dtype=np.float32), "cosine")
    assert max(len(rows) for rows in lists_of(points, likeness, 100).rows) <= 200


def test_content_order_does_not_depend_on_the_order_of_rows() -> None:
    points, _ = placed(cloud(3, 500), "cosine")
    shuffle = np.random.default_rng(0).permutation(500)
    np.testing.assert_array_equal(points[content_order(points)], points[shuffle][content_order(points[shuffle])])
    assert content_order(points).tolist() != list(range(500))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_member_of_another_list_is_nearer_than_the_bound(similarity: Similarity) -> None:
    points, likeness = points_of(mixture(2000), similarity)
    lists = lists_of(points, likeness, 50)
    others = np.concatenate(lists.rows[3:])
    bound = nearest_beyond(points[:200], likeness, lists, np.arange(3))
    assert (likeness.between(points[:200], points[others]).max(axis=1) <= bound + ROUNDING).all()
    assert nearest_beyond(points[:5], likeness, lists, np.arange(len(lists.rows))).tolist() == [0] * 5
