"""Greedy over neighbours: against a slow reference, and close to the greedy choice over all similarities."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, facility_location
from augforge.algorithms.selection.greedy import lazy_greedy
from augforge.algorithms.selection.kernels import Dense, Sparse, nearest_of
from augforge.algorithms.selection.points import Likeness, Points, likeness_of, placed
from augforge.algorithms.selection.sparse_greedy import sparse_greedy
from tests.algorithms.selection.reference import cloud, clusters
from tests.algorithms.selection.test_neighbours import mixture

SIMILARITIES: tuple[Similarity, ...] = ("cosine", "euclidean", "exponential")
ENOUGH = 0.9995  # of the objective of the greedy choice over all similarities


def placed_as(features: np.ndarray, similarity: Similarity) -> tuple[Points, Likeness]:
    points, scale = placed(features, similarity)
    return points, likeness_of(similarity, scale, features.shape[1])


def by_definition(points: Points, likeness: Likeness, kernel: Sparse, budget: int) -> tuple[list[int], list[float]]:
    """Measure every gain anew at every step, from the sentences in `sparse_greedy`'s docstring."""
    everything = likeness.between(points, points).astype(np.float64)
    np.fill_diagonal(everything, 1)
    held = np.zeros(everything.shape, dtype=bool)
    np.put_along_axis(held, kernel.neighbours.astype(np.int64), True, axis=1)
    chosen: list[int] = []
    gains: list[float] = []
    others, seen = np.zeros(len(points)), 0
    for step in range(budget):
        near = np.where(held, everything, 0)[:, chosen].max(axis=1, initial=0)
        cover = np.maximum(near, others)
        found = np.where(held, np.maximum(everything - cover[:, None], 0), 0).sum(axis=0)
        found[chosen] = -1
        chosen.append(int(found.argmax()))
        gains.append(float(found[chosen[-1]]))
        if 8 * (step + 1 - seen) > step:
            lonely = ~held[:, chosen].any(axis=1)
            others[lonely] = everything[lonely][:, chosen].max(axis=1)
            seen = step + 1
    return chosen, gains


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_chooses_what_the_definition_chooses(similarity: Similarity) -> None:
    for seed in range(8):
        points, likeness = placed_as(cloud(seed, 120), similarity)
        kernel = Sparse(points, likeness, 6)
        chosen, gains, _ = sparse_greedy(kernel, 60)
        expected, measured = by_definition(points, likeness, kernel, 60)
        assert chosen.tolist() == expected
        np.testing.assert_allclose(gains, measured, atol=1e-4)
        assert (np.diff(gains) <= 0).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_with_all_neighbours_it_is_the_lazy_choice(similarity: Similarity) -> None:
    for seed in range(10):
        points, likeness = placed_as(cloud(seed, 70), similarity)
        kernel = Sparse(points, likeness, 70)
        lazy, updated = lazy_greedy(kernel, 69), sparse_greedy(kernel, 69)
        assert all(np.array_equal(a, b) for a, b in zip(lazy, updated, strict=True))


def test_a_larger_budget_only_adds() -> None:
    points, likeness = placed_as(mixture(400), "cosine")
    kernel = Sparse(points, likeness, 10)
    whole = sparse_greedy(kernel, 399)[0].tolist()
    assert all(sparse_greedy(kernel, budget)[0].tolist() == whole[:budget] for budget in (1, 2, 9, 40, 200))
    assert len(set(whole)) == 399


def test_copies_give_one_of_each_and_their_numbers_as_gains() -> None:
    points, likeness = placed_as(clusters([7, 1, 4, 12, 3]), "cosine")
    chosen, gains, reached = sparse_greedy(Sparse(points, likeness, 20), 5)
    assert gains.tolist() == [12, 7, 4, 3, 1]
    assert sorted(points[chosen].argmax(axis=1).tolist()) == [0, 1, 2, 3, 4] and reached.tolist() == [1] * 27


@pytest.mark.parametrize(
    ("features", "similarity"),
    [
        (mixture(3100, d=64, centres=150), "euclidean"),
        (mixture(5000, d=64, centres=150), "cosine"),
        (cloud(3, 3100, d=16), "cosine"),
    ],
    ids=["clusters, euclidean", "clusters, cosine", "no clusters"],
)
def test_auto_is_as_good_as_all_similarities(features: np.ndarray, similarity: Similarity) -> None:
    budget = len(features) // 10
    dense = facility_location(features, budget, similarity=similarity, method="dense")
    found = facility_location(features, budget, similarity=similarity)
    assert (found.method, dense.method) == ("sparse", "dense")
    assert found.objective >= ENOUGH * dense.objective
    assert found.upper_bound >= dense.objective


def test_counting_what_is_not_held_as_nothing_would_be_worse() -> None:
    """Until a neighbour is chosen, every point would count for as much as if nothing resembled it."""
    points, likeness = placed_as(cloud(3, 2000, d=16), "cosine")
    kernel, dense = Sparse(points, likeness, 100), lazy_greedy(Dense(points, likeness), 100)[0]
    right, wrong = sparse_greedy(kernel, 100)[0], lazy_greedy(kernel, 100)[0]
    best, good, bad = (nearest_of(points, points[rows], likeness)[0].sum() for rows in (dense, right, wrong))
    assert bad < ENOUGH * best <= good


def test_lists_that_miss_what_matters_are_noticed() -> None:
    """Without clusters, the nearest are in lists all around."""
    features = cloud(3, 4200, d=16)
    found, dense = facility_location(features, 420), facility_location(features, 420, method="dense")
    assert "of the neighbours that matter were missed in lists" in found.notes[0]
    assert found.objective >= ENOUGH * dense.objective
    clustered = facility_location(mixture(4200, d=64, centres=50), 420)
    assert clustered.method == "sparse" and len(clustered.notes) == 1


def test_the_share_of_missed_pairs_is_counted_by_brute_force() -> None:
    points, likeness = placed_as(cloud(5, 4200, d=8), "cosine")
    kernel, rows = Sparse(points, likeness, 60), np.arange(0, 4200, 70)
    everything = likeness.between(points[rows], points)
    everything[np.arange(len(rows)), rows] = 1
    held = np.zeros(everything.shape, dtype=bool)
    np.put_along_axis(held, kernel.neighbours[rows].astype(np.int64), True, axis=1)
    for cover in (0.9, 0.95, 0.99):
        could = everything > np.float32(cover)
        expected = (could & ~held).sum() / could.sum()
        assert kernel.missed(np.full(4200, cover, dtype=np.float32), rows) == pytest.approx(expected, abs=1e-3)
    assert kernel.missed(np.ones(4200, dtype=np.float32), rows) == 0
