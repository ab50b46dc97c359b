"""Facility location against known answers, brute force and the variants that look right and are not."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from augforge.algorithms.selection import Method, Selection, Similarity, facility_location
from tests.algorithms.selection.reference import cloud, clusters, greedy, optimum, similarity_matrix, value

SIMILARITIES: tuple[Similarity, ...] = ("cosine", "euclidean", "exponential")
FREE_OF_SCALE: tuple[Similarity, ...] = ("cosine", "euclidean")
EVERY: tuple[Method, ...] = ("dense", "sparse", "partition", "naive")


def same(left: Selection, right: Selection) -> bool:
    pairs = [(left.indices, right.indices), (left.gains, right.gains), (left.weights, right.weights)]
    return all(np.array_equal(a, b) for a, b in pairs) and left.objective == right.objective


def test_lazy_is_naive_on_200_instances() -> None:
    for seed in range(200):
        n = 2 + seed % 39
        features = cloud(seed, n, d=2 + seed % 5)
        features[n // 2] = features[0]  # a tie
        budget, similarity = 1 + seed % (n - 1), SIMILARITIES[seed % 2]
        lazy = facility_location(features, budget, method="dense", similarity=similarity)
        assert same(lazy, facility_location(features, budget, method="naive", similarity=similarity))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_chooses_what_the_definition_chooses(similarity: Similarity) -> None:
    for seed in range(20):
        features = cloud(seed, 25)
        matrix = similarity_matrix(features, similarity)
        chosen = facility_location(features, 8, similarity=similarity)
        assert chosen.indices.tolist() == greedy(matrix, 8)
        assert chosen.objective == pytest.approx(value(matrix, chosen.indices), abs=1e-6 * 25)
        assert chosen.gains.sum() == pytest.approx(chosen.objective, abs=1e-9)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("method", EVERY)
def test_brackets_the_optimum(similarity: Similarity, method: Method) -> None:
    for seed in range(12):
        features = cloud(seed, 9, d=3)
        for budget in (1, 2, 3, 5):
            best = optimum(similarity_matrix(features, similarity), budget)
            chosen = facility_location(features, budget, similarity=similarity, method=method, neighbours=4)
            assert chosen.objective <= best + 1e-5 <= chosen.upper_bound + 2e-5
            if method != "sparse":
                assert chosen.objective >= (1 - 1 / math.e) * best


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_copies_of_k_points_give_one_of_each_with_its_number(method: Method, similarity: Similarity) -> None:
    sizes = [7, 1, 4, 12, 3]
    features = 100 * clusters(sizes)
    chosen = facility_location(features, 5, method=method, similarity=similarity, neighbours=20)
    kinds = features[chosen.indices].argmax(axis=1)
    assert sorted(kinds.tolist()) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(chosen.weights * sum(sizes) / 5, np.array(sizes)[kinds])
    assert chosen.weights.sum() == pytest.approx(5)
    if similarity == "cosine":
        assert chosen.objective == sum(sizes) == chosen.upper_bound
        assert chosen.gains.tolist() == sorted(sizes, reverse=True)


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_ties_go_to_the_lowest_row(method: Method, similarity: Similarity) -> None:
    features = np.repeat(np.eye(4, dtype=np.float32), 6, axis=0)
    chosen = facility_location(features, 4, method=method, similarity=similarity, neighbours=8)
    assert chosen.indices.tolist() == [0, 6, 12, 18]


@pytest.mark.parametrize("method", EVERY)
def test_permuting_rows_permutes_the_answer(method: Method) -> None:
    features = cloud(3, 60)
    order = np.random.default_rng(1).permutation(60)
    before = facility_location(features, 12, method=method, neighbours=20)
    after = facility_location(features[order], 12, method=method, neighbours=20)
    assert order[after.indices].tolist() == before.indices.tolist()
    np.testing.assert_allclose(after.weights, before.weights)


def test_more_is_better_and_only_adds() -> None:
    features = cloud(5, 30)
    found = [facility_location(features, budget) for budget in range(31)]
    objectives = [chosen.objective for chosen in found]
    assert objectives == sorted(objectives)
    assert objectives[0] == 0 and objectives[-1] == 30
    for fewer, more in pairwise(found[:-1]):
        assert more.indices[:-1].tolist() == fewer.indices.tolist()
    assert all((np.diff(chosen.gains) <= 0).all() for chosen in found)


@pytest.mark.parametrize("budget", [30, 31, 1000])
def test_a_full_budget_keeps_all_with_weight_one(budget: int) -> None:
    chosen = facility_location(cloud(5, 30), budget)
    assert chosen.indices.tolist() == list(range(30))
    assert chosen.weights.tolist() == [1] * 30
    assert chosen.objective == chosen.upper_bound == 30
    assert chosen.notes == ([f"budget {budget} over 30 rows: all taken"] if budget > 30 else [])


def test_scale_does_not_matter() -> None:
    features = cloud(7, 40)
    for similarity in FREE_OF_SCALE:
        plain = facility_location(features, 9, similarity=similarity)
        for factor in (1e-30, 1e30):
            scaled = facility_location(features * np.float32(factor), 9, similarity=similarity)
            assert scaled.indices.tolist() == plain.indices.tolist()
            np.testing.assert_allclose(scaled.gains, plain.gains, atol=1e-5)


def test_points_that_would_represent_each_other_alone_tie() -> None:
    features = np.array([[1, 0, 0], [0, 1, 0.3], [0, 1, 0.4], [1, 0, 0], [1, 0, 0]])
    for order in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4]):
        assert facility_location(features[order], 2).indices.tolist() == [0, 1]


def test_labels_choose_within_each_class() -> None:
    features = cloud(8, 50)
    labels = [["cat", "ant", "bee"][i % 3] for i in range(50)]
    chosen = facility_location(features, 14, labels=labels)
    assert [labels[i] for i in chosen.indices] == ["ant"] * 5 + ["bee"] * 4 + ["cat"] * 5
    ants = np.array([i for i in range(50) if labels[i] == "ant"])
    alone = facility_location(features[ants], 5)
    assert ants[alone.indices].tolist() == chosen.indices[:5].tolist()
    assert chosen.weights.sum() == pytest.approx(14)
    assert same(chosen, facility_location(features, 14, labels=np.array(labels)))


# --- variants that look right and are not


def test_without_the_max_only_one_cluster_would_be_seen() -> None:
    features = clusters([10, 3, 2])
    summed = similarity_matrix(features, "cosine").sum(axis=0)
    wrong = np.argsort(-summed, kind="stable")[:3]
    assert set(features[wrong].argmax(axis=1)) == {0}
    chosen = facility_location(features, 3)
    assert set(features[chosen.indices].argmax(axis=1)) == {0, 1, 2}


def test_one_that_represents_nobody_counts_as_one() -> None:
    features = np.repeat(np.eye(2, dtype=np.float32), [4, 1], axis=0)
    chosen = facility_location(features, 3)  # the third can only be a copy of the first
    assert chosen.indices.tolist() == [0, 4, 1]
    np.testing.assert_allclose(chosen.weights, np.array([4, 1, 1]) * 3 / 6)
    wrong = np.array([4, 1, 0]) * 3 / 5
    assert not np.allclose(chosen.weights, wrong)


# --- edges


def test_nothing_in_nothing_out() -> None:
    for features, budget in ((np.empty((0, 4)), 3), (cloud(0, 5), 0)):
        chosen = facility_location(features, budget)
        assert chosen.indices.dtype == np.int64 and chosen.weights.dtype == chosen.gains.dtype == np.float64
        assert len(chosen.indices) == len(chosen.weights) == len(chosen.gains) == 0
        assert chosen.objective == chosen.upper_bound == 0


def test_one_row() -> None:
    chosen = facility_location(cloud(0, 1), 1)
    assert chosen.indices.tolist() == [0] and chosen.weights.tolist() == [1]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("method", EVERY)
def test_all_rows_equal(method: Method, similarity: Similarity) -> None:
    chosen = facility_location(np.ones((9, 3)), 4, method=method, similarity=similarity, neighbours=3)
    assert chosen.indices.tolist() == ([0, 1, 2, 3] if method != "sparse" else chosen.indices.tolist())
    assert len(set(chosen.indices.tolist())) == 4 and chosen.objective == 9


@pytest.mark.parametrize("method", EVERY)
def test_rows_of_zeros_are_alike_among_themselves(method: Method) -> None:
    features = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [1, 0.1]])
    chosen = facility_location(features, 2, method=method, neighbours=4)
    assert chosen.indices.tolist() == [0, 2]
    np.testing.assert_allclose(chosen.weights, np.array([3, 2]) * 2 / 5)


def test_any_kind_of_number() -> None:
    features = np.random.default_rng(0).integers(-128, 128, size=(30, 6))
    for similarity in SIMILARITIES:
        plain = facility_location(features.astype(np.float32), 6, similarity=similarity).indices.tolist()
        for kind in (np.int8, np.int64, np.float16, np.float64):
            assert facility_location(features.astype(kind), 6, similarity=similarity).indices.tolist() == plain
        if similarity in FREE_OF_SCALE:
            assert facility_location(features * 1e150, 6, similarity=similarity).indices.tolist() == plain


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_names_the_row_that_is_not_finite(bad: float) -> None:
    features = cloud(0, 30)
    features[17, 3] = features[20, 0] = bad
    with pytest.raises(ValueError, match="row 17 is not finite"):
        facility_location(features, 3)


def test_leaves_the_features_alone() -> None:
    features = cloud(0, 30)
    before = features.copy()
    for method in EVERY:
        facility_location(features, 3, method=method, similarity="euclidean")
        facility_location(features, 3, method=method)
    assert (features == before).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\): give \(n, d\)"):
        facility_location(np.ones(3), 1)
    with pytest.raises(ValueError, match="2 labels for 3 rows"):
        facility_location(np.ones((3, 2)), 1, labels=["a", "b"])
    with pytest.raises(ValueError, match="the budget is -1"):
        facility_location(np.ones((3, 2)), -1)
    with pytest.raises(ValueError, match="neighbours is 0"):
        facility_location(np.ones((3, 2)), 1, neighbours=0)
    with pytest.raises(ValueError, match="give one of auto, dense, sparse, partition, distributed, naive"):
        facility_location(np.ones((3, 2)), 1, method="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give one of cosine, euclidean"):
        facility_location(np.ones((3, 2)), 1, similarity="dot")  # type: ignore[arg-type]
