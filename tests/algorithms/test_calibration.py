"""Temperature scaling against closed forms and a search over a grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.calibration import COLDEST, HOTTEST, probabilities, temperature_of, within_families


def test_of_two_classes_it_is_where_the_probability_is_the_accuracy():
    logits = np.array([[4.0, 0.0]] * 10)
    truth = np.array([0] * 8 + [1] * 2)
    assert temperature_of(logits, truth) == pytest.approx(4 / np.log(0.8 / 0.2), rel=1e-6)
    assert probabilities(logits, temperature_of(logits, truth))[0, 0] == pytest.approx(0.8)
    assert probabilities(logits)[0, 0] > 0.98  # what it says without


@given(st.integers(0, 40), st.floats(0.3, 4))
def test_no_other_temperature_has_a_lower_cross_entropy(seed, scale):
    random = np.random.default_rng(seed)
    logits, truth = random.normal(size=(60, 4)) * scale * 3, random.integers(0, 4, 60)
    logits[np.arange(40), truth[:40]] += 2 * scale

    def entropy(temperature):
        return -np.log(np.maximum(probabilities(logits, temperature)[np.arange(60), truth], 1e-300)).mean()

    best = temperature_of(logits, truth)
    assert all(entropy(best) <= entropy(other) + 1e-9 for other in np.geomspace(COLDEST, HOTTEST, 60))


def test_scaled_logits_have_a_scaled_temperature():
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(80, 3)), random.integers(0, 3, 80)
    logits[np.arange(50), truth[:50]] += 1.5
    assert temperature_of(3 * logits, truth) == pytest.approx(3 * temperature_of(logits, truth), rel=1e-5)


def test_what_is_always_right_or_always_wrong_stays_within_the_bounds():
    logits = np.array([[4.0, 0.0]] * 5)
    assert temperature_of(logits, np.zeros(5, dtype=int)) == pytest.approx(COLDEST)
    assert temperature_of(logits, np.ones(5, dtype=int)) == pytest.approx(HOTTEST)
    with pytest.raises(ValueError, match="needs images"):
        temperature_of(np.zeros((0, 2)), np.zeros(0, dtype=int))


def test_a_temperature_of_one_is_the_softmax():
    assert probabilities(np.log([[1.0, 2.0, 5.0]])) == pytest.approx(np.array([[1 / 8, 2 / 8, 5 / 8]]))


def test_weights_of_a_family_sum_to_its_size():
    values = np.array([0.2, 0.6, 0.9, np.nan, 0.0, 0.0])
    weights = within_families(values, np.array([0, 0, 1, 1, 2, 2]))
    assert weights[:3] == pytest.approx([0.5, 1.5, 1]) and np.isnan(weights[3])
    assert weights[4:].tolist() == [1, 1]
    assert values[:2] / values[[0, 1, 2]].mean() != pytest.approx(weights[:2])  # over all it would be another weight
