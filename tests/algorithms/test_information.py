"""Loss, margin and variance of gradients in closed form."""

import numpy as np
import pytest

from augforge.algorithms.information import losses_of, margins_of, variances_of
from augforge.algorithms.selection import losses

HALF, SURE, WRONG = np.log([0.5, 0.25, 0.25]), np.log([0.8, 0.1, 0.1]), np.log([0.2, 0.7, 0.1])
FIRST = np.zeros(3, dtype=np.int64)


def test_known_losses_and_margins():
    logits = np.stack([HALF, SURE, WRONG])
    assert losses_of(logits, FIRST) == pytest.approx([np.log(2), -np.log(0.8), -np.log(0.2)])
    assert margins_of(logits, FIRST) == pytest.approx([0.25, 0.7, -0.5])
    assert np.isnan(margins_of(np.zeros((2, 1)), np.zeros(2, dtype=np.int64))).all()


def test_the_loss_is_that_of_max_loss():
    random = np.random.default_rng(0)
    logits, truth = random.normal(size=(40, 5)), random.integers(0, 5, 40)
    assert losses_of(logits, truth) == pytest.approx(losses(logits, truth), abs=1e-5)


def test_the_variance_is_that_of_the_probabilities_over_the_states():
    states = [np.stack([HALF]), np.stack([SURE])]
    expected = np.mean([0.15**2, 0.075**2, 0.075**2])  # half the differences of 0.3, 0.15 and 0.15, squared
    assert variances_of(states, FIRST[:1]) == pytest.approx([expected])
    assert variances_of([*states, *states], FIRST[:1]) == pytest.approx([expected])
    assert variances_of([states[0]] * 3, FIRST[:1]) == pytest.approx([0])
    with pytest.raises(ValueError, match="two states"):
        variances_of(states[:1], FIRST[:1])


def test_what_is_learnt_late_varies_most():
    late = [np.stack([HALF, SURE]), np.stack([HALF, SURE]), np.stack([SURE, SURE])]
    found = variances_of(late, FIRST[:2])
    assert found[0] > found[1] == 0
