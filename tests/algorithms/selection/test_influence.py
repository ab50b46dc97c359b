"""Influence against what a training step does, and against a row left out."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import influences


def test_in_one_dimension_it_is_the_closed_form() -> None:
    assert influences([[1.0], [3.0]], [[2.0], [4.0]], ridge=1.0) == pytest.approx([3 * 1 / 10, 3 * 3 / 10])


def test_it_says_how_the_held_out_loss_changes_when_a_row_is_left_out_of_least_squares() -> None:
    draw = np.random.default_rng(0)
    inputs, tests = draw.normal(size=(60, 4)), draw.normal(size=(30, 4))
    answers, asked = inputs @ np.ones(4) + draw.normal(size=60), tests @ np.ones(4)

    def solved(rows: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(inputs[rows], answers[rows], rcond=None)[0]

    whole = solved(np.arange(60))
    loss = ((tests @ whole - asked) ** 2).mean() / 2
    changes = [((tests @ solved(np.delete(np.arange(60), i)) - asked) ** 2).mean() / 2 - loss for i in range(60)]
    # The second derivative of the loss is that of the inputs, so they are handed over as rows beside the gradients.
    errors = (inputs @ whole - answers)[:, None]
    turned = np.linalg.cholesky(np.linalg.inv(inputs.T @ inputs))
    gradients, held_out = errors * (inputs @ turned), (tests @ whole - asked)[:, None] * (tests @ turned)
    plain = influences(gradients, held_out, ridge=1e6)
    assert np.corrcoef(plain, changes)[0, 1] > 0.97
    assert np.corrcoef(-plain, changes)[0, 1] < 0


def test_a_large_ridge_leaves_the_inner_product_and_a_small_one_does_not() -> None:
    draw = np.random.default_rng(1)
    rows, others = draw.normal(size=(50, 3)) * [1, 10, 1], draw.normal(size=(5, 3))
    inner = rows @ others.mean(axis=0)
    assert np.corrcoef(influences(rows, others, ridge=1e8), inner)[0, 1] == pytest.approx(1)
    assert np.corrcoef(influences(rows, others, ridge=1e-4), inner)[0, 1] < 0.95


def test_what_has_no_influence_has_zero_and_nonsense_is_refused() -> None:
    assert influences(np.zeros((3, 2)), np.ones((2, 2))).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="give"):
        influences(np.ones((3, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="ridge is 0"):
        influences(np.ones((3, 2)), np.ones((2, 2)), ridge=0)
