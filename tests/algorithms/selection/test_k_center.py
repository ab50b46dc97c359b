"""k-center against the definition and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, k_center
from tests.algorithms.selection.reference import cloud, clusters


def distance_matrix(features: np.ndarray, similarity: Similarity) -> np.ndarray:
    x = features.astype(np.float64)
    if similarity == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def farthest_first(features: np.ndarray, similarity: Similarity, budget: int) -> list[int]:
    x = features.astype(np.float64)
    if similarity == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    chosen = [int(np.linalg.norm(x - x.mean(axis=0), axis=1).argmin())]
    distances = distance_matrix(features, similarity)
    while len(chosen) < budget:
        chosen.append(int(distances[:, chosen].min(axis=1).argmax()))
    return chosen


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_chooses_what_the_definition_chooses(similarity: Similarity) -> None:
    for seed in range(20):
        features = cloud(seed, 100)
        distances = distance_matrix(features, similarity)
        chosen = k_center(features, 40, similarity=similarity)
        assert chosen.indices.tolist() == farthest_first(features, similarity, 40)
        nearest = distances[:, chosen.indices]
        assert chosen.objective == pytest.approx(-nearest.min(axis=1).max(), abs=1e-4)
        owners = nearest.argmin(axis=1)
        np.testing.assert_allclose(chosen.weights, np.bincount(owners, minlength=40) * 40 / 100)
        assert chosen.gains[0] == 0
        assert (np.diff(chosen.gains[1:]) <= 0).all() and chosen.gains[-1] >= -chosen.objective


def test_is_within_twice_the_optimum() -> None:
    for seed in range(15):
        features = cloud(seed, 10, d=2)
        distances = distance_matrix(features, "euclidean")
        best = min(distances[:, list(a)].min(axis=1).max() for a in combinations(range(10), 3))
        chosen = k_center(features, 3, similarity="euclidean")
        assert chosen.objective <= -best + 1e-4
        assert chosen.upper_bound >= -best - 1e-4


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_copies_of_k_points_give_one_of_each_with_its_number(similarity: Similarity) -> None:
    sizes = [7, 1, 4, 12, 3]
    features = clusters(sizes)
    chosen = k_center(features, 5, similarity=similarity)
    kinds = features[chosen.indices].argmax(axis=1)
    assert sorted(kinds.tolist()) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(chosen.weights * sum(sizes) / 5, np.array(sizes)[kinds])
    assert chosen.objective == 0


def test_ties_go_to_the_lowest_row_and_no_row_comes_twice() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    chosen = k_center(features, 6)
    assert chosen.indices.tolist() == [0, 4, 8, 1, 2, 3]
    np.testing.assert_allclose(chosen.weights, np.array([4, 4, 4, 1, 1, 1]) * 6 / 15)


def test_permuting_rows_permutes_the_answer_and_more_only_adds() -> None:
    features = cloud(3, 60)
    order = np.random.default_rng(1).permutation(60)
    before, more = k_center(features, 12), k_center(features, 20)
    assert order[k_center(features[order], 12).indices].tolist() == before.indices.tolist()
    assert more.indices[:12].tolist() == before.indices.tolist()
    assert more.objective >= before.objective


def test_edges() -> None:
    assert len(k_center(np.empty((0, 3)), 2).indices) == 0
    assert len(k_center(cloud(0, 4), 0).indices) == 0
    assert k_center(cloud(0, 1), 1).weights.tolist() == [1]
    everything = k_center(cloud(0, 6), 9)
    assert everything.indices.tolist() == list(range(6)) and everything.weights.tolist() == [1] * 6
    assert k_center(np.zeros((5, 2)), 2).indices.tolist() == [0, 1]
    features = cloud(0, 6)
    features[4, 1] = np.nan
    with pytest.raises(ValueError, match="row 4 is not finite"):
        k_center(features, 2)


def test_labels_and_units() -> None:
    features = np.array([[0.0], [10], [4], [100], [100], [700]])
    chosen = k_center(features, 4, labels=[0, 0, 0, 1, 1, 1], similarity="euclidean")
    assert chosen.indices.tolist() == [2, 1, 3, 5]
    np.testing.assert_allclose(chosen.gains, [0, 6, 0, 600], rtol=1e-3)
    assert chosen.objective == pytest.approx(-4, rel=1e-3)
    assert chosen.upper_bound == pytest.approx(-2, rel=1e-3)
