import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.stages.filters import weight_unicon
from augforge.stages.filters.weight_unicon import WeightUnicon, soft_weights
from tests.stages.filters.galleries import X, Y, directions, inputs


def brute_force(vectors, tau):
    raw = []
    for i, one in enumerate(vectors):
        raw.append(sum(np.exp(float(one @ other) / tau) for j, other in enumerate(vectors) if j != i))
    return np.array(raw) / sum(raw) * len(raw)


@given(st.integers(2, 30), st.floats(0.05, 5), st.integers(0, 5))
def test_it_is_the_formula(count, tau, seed):
    vectors = directions(count, seed=seed)
    weights = soft_weights(vectors, tau)
    assert weights == pytest.approx(brute_force(vectors, tau), rel=1e-4)
    assert weights.sum() == pytest.approx(count) and (weights > 0).all()


def test_with_itself_in_the_sum_it_would_be_another_weight():
    vectors = directions(6, spread=2)
    wrong = np.exp(vectors @ vectors.T / 0.5).sum(axis=1)
    assert np.abs(soft_weights(vectors, 0.5) - wrong / wrong.mean()).max() > 0.05


def test_equal_vectors_have_equal_weights():
    assert soft_weights(np.stack([X] * 7), 0.5).tolist() == pytest.approx([1] * 7)
    assert soft_weights(X[None], 0.5).tolist() == [1] and len(soft_weights(np.zeros((0, 3), dtype=np.float32), 1)) == 0


def test_the_farthest_has_the_least_weight():
    vectors = np.vstack([directions(20, spread=0.1), -directions(1)])
    assert soft_weights(vectors, 0.5).argmin() == 20


def test_a_hot_temperature_makes_all_equal_and_a_cold_one_stays_finite():
    vectors = directions(15)
    assert soft_weights(vectors, 1e6) == pytest.approx(np.ones(15), abs=1e-5)
    cold = soft_weights(vectors, 1e-4)
    assert np.isfinite(cold).all() and cold.sum() == pytest.approx(15)


def test_permuting_the_images_permutes_the_weights():
    vectors = directions(20)
    order = np.random.default_rng(0).permutation(20)
    assert soft_weights(vectors[order], 0.5) == pytest.approx(soft_weights(vectors, 0.5)[order])


def test_chunks_do_not_matter(monkeypatch):
    vectors = directions(23)
    whole = soft_weights(vectors, 0.5)
    monkeypatch.setattr(weight_unicon, "ROWS", 5)
    assert soft_weights(vectors, 0.5) == pytest.approx(whole)


def test_each_class_sums_to_its_number():
    classes = np.array([0] * 5 + [1] * 3 + [-1] * 2)
    weights = WeightUnicon().compare(inputs(directions(10), classes))["weight-unicon"]
    assert [weights[classes == c].sum() for c in (0, 1, -1)] == pytest.approx([5, 3, 2])


def test_nothing_goes_without_a_rule():
    stays, _ = WeightUnicon().rule().apply(np.array([0.1, 1.9]), ["a", "b"], np.zeros(2, dtype=int), "all")
    assert stays.all()


def test_an_image_that_is_alone_keeps_its_weight():
    assert WeightUnicon().compare(inputs([X, Y], [0, 1]))["weight-unicon"].tolist() == [1, 1]
