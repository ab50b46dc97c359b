"""The certificate against brute force: objectives, baselines, bounds and the curve."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from augforge.algorithms.selection import (
    Certificate,
    Selection,
    Similarity,
    certify,
    facility_location,
    k_center,
    random_subset,
)
from tests.algorithms.selection.reference import cloud, clusters, optimum, similarity_matrix, value
from tests.algorithms.selection.test_neighbours import mixture

SIMILARITIES: tuple[Similarity, ...] = ("cosine", "euclidean", "exponential")


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_number_is_what_the_definition_says(similarity: Similarity) -> None:
    features, keys = mixture(300), np.random.default_rng(5).permutation(300).astype(np.uint64)
    matrix = similarity_matrix(features, similarity)
    chosen = facility_location(features, 40, similarity=similarity)
    found = certify(features, chosen, similarity=similarity, keys=keys)
    assert found.objective == pytest.approx(value(matrix, chosen.indices), rel=1e-5)
    assert found.random == pytest.approx(value(matrix, random_subset(300, 40, keys=keys).indices), rel=1e-5)
    assert found.k_center == pytest.approx(
        value(matrix, k_center(features, 40, similarity=similarity).indices), rel=1e-5
    )
    assert found.gap == pytest.approx(1 - found.objective / found.upper_bound)
    assert (found.rows, found.of, found.confidence) == (300, 300, 1.0)
    assert (found.curve.budgets[0], found.curve.budgets[-1]) == (1, 40)
    expected = [value(matrix, chosen.indices[:budget]) for budget in found.curve.budgets]
    np.testing.assert_allclose(found.curve.chosen, expected, rtol=1e-5)
    assert found.curve.chosen[-1] == pytest.approx(found.objective)
    assert found.curve.random[-1] == pytest.approx(found.random)


def test_the_curve_is_what_smaller_budgets_give() -> None:
    features = mixture(300)
    labels = ["a"] * 200 + ["b"] * 90 + ["c"] * 10
    for own in (None, labels):
        found = certify(features, facility_location(features, 60, labels=own), labels=own)
        for budget, objective in zip(found.curve.budgets.tolist(), found.curve.chosen, strict=True):
            assert objective == pytest.approx(facility_location(features, budget, labels=own).objective, rel=1e-6)
        assert (np.diff(found.curve.chosen) > 0).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_bound_is_no_lower_than_the_optimum(similarity: Similarity) -> None:
    for seed in range(20):
        features = cloud(seed, 9, d=3)
        for budget in (1, 2, 4):
            best = optimum(similarity_matrix(features, similarity), budget)
            found = certify(features, facility_location(features, budget, similarity=similarity), similarity=similarity)
            assert found.objective <= best + 1e-5 <= found.upper_bound + 2e-5


def test_the_mean_of_the_nearest_alone_would_be_too_low_a_bound() -> None:
    """A chosen row represents itself wholly: without that term the bound is under the objective."""
    features = np.eye(6, dtype=np.float32)
    found = certify(features, facility_location(features, 3))
    closest = np.zeros(6)
    assert found.objective == found.upper_bound == 3 > closest.sum()


def test_copies_are_certified_as_optimal() -> None:
    features = clusters([7, 1, 4, 12, 3])
    found = certify(features, facility_location(features, 5))
    assert found.objective == found.upper_bound == 27 and found.gap == 0


def test_it_tightens_the_bound_of_a_choice_over_few_neighbours() -> None:
    features = mixture(3000)
    rough = facility_location(features, 200, method="partition", memory_budget_bytes=20 * 100 * 1000)
    found = certify(features, rough)
    assert found.upper_bound < 0.97 * rough.upper_bound
    assert found.upper_bound >= facility_location(features, 200, method="dense").objective


def test_a_few_rows_estimate_the_rest_and_bound_it_with_what_they_leave_open() -> None:
    features = mixture(3000)
    chosen = dataclasses.replace(facility_location(features, 200), upper_bound=3000.0)
    whole, found = certify(features, chosen), certify(features, chosen, pairs=3000 * 1000)
    assert (found.rows, found.of, found.confidence) == (1000, 3000, 1 - 1e-6)
    assert whole.upper_bound < found.upper_bound < 1.1 * whole.upper_bound
    assert found.random == pytest.approx(whole.random, rel=0.02)
    np.testing.assert_allclose(found.curve.chosen, whole.curve.chosen, rtol=0.05)
    assert found.objective == whole.objective == chosen.objective


def test_the_sampled_bound_holds_for_many_samples() -> None:
    for seed in range(30):
        features = mixture(400, d=4, seed=seed)
        chosen = dataclasses.replace(facility_location(features, 40), upper_bound=400.0)
        assert certify(features, chosen, pairs=400 * 100).upper_bound >= certify(features, chosen).upper_bound


def test_k_center_is_left_out_where_it_would_take_long() -> None:
    features = mixture(500)
    found = certify(features, facility_location(features, 100), pairs=500 * 99)
    assert found.k_center is None and found.curve.k_center is None
    assert found.notes == ["k-center was left out: it would take too long"]


def test_it_says_how_the_choice_was_made_and_what_that_guarantees() -> None:
    features = mixture(300)
    dense, sparse = (certify(features, facility_location(features, 40, method=m)) for m in ("dense", "sparse"))
    assert (dense.method, sparse.method) == ("dense", "sparse")
    assert dense.guarantee.startswith("at least 63 %") and sparse.guarantee.startswith("no share")
    assert dense.objective >= (1 - 1 / math.e) * dense.upper_bound
    mixed = facility_location(features, 40, labels=["a"] * 20 + ["b"] * 280, neighbours=5, memory_budget_bytes=1600)
    facts = certify(features, mixed, labels=["a"] * 20 + ["b"] * 280).facts()
    assert facts["method"] == "dense, sparse" and facts["guarantee"] == sparse.guarantee


def test_edges() -> None:
    nothing = certify(np.empty((0, 3)), facility_location(np.empty((0, 3)), 4))
    assert (nothing.objective, nothing.upper_bound, nothing.gap) == (0, 0, 0)
    assert len(nothing.curve.budgets) == 0
    features = cloud(0, 5)
    everything = certify(features, facility_location(features, 5))
    assert everything.objective == everything.upper_bound == 5 and everything.random == pytest.approx(5)
    one = certify(features[:1], facility_location(features[:1], 1))
    assert one.objective == one.upper_bound == 1
    labelled = certify(features, facility_location(features, 1, labels=list("aabbb")), labels=list("aabbb"))
    assert labelled.upper_bound <= 3


def test_a_choice_of_other_classes_is_refused() -> None:
    features = cloud(0, 20)
    chosen = facility_location(features, 6, labels=["a", "b"] * 10)
    with pytest.raises(ValueError, match="other labels"):
        certify(features, chosen, labels=["a"] * 10 + ["b"] * 10)


def test_facts_are_json() -> None:
    features = cloud(0, 20)
    found: Certificate = certify(features, facility_location(features, 6))
    facts = json.loads(json.dumps(found.facts()))
    assert facts["upper-bound"] == found.upper_bound and len(facts["curve"]["k-center"]) == len(
        facts["curve"]["budget"]
    )
    assert isinstance(facility_location(features, 6), Selection)
