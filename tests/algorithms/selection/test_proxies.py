"""Residuals, losses and divergences against closed forms; the outer product against the one that is formed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from augforge.algorithms.selection import (
    columns,
    divergences,
    facility_location,
    largest,
    losses,
    outer_gram,
    outer_product,
)
from augforge.algorithms.selection import softmax_residual as residual_of


def case(n: int = 40, c: int = 7, d: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    return 2 * draw.normal(size=(n, c)), draw.integers(c, size=n), draw.normal(size=(n, d))


def test_residual_and_loss_in_closed_form() -> None:
    logits, labels = [[0.0, math.log(3)], [5.0, 5.0]], [0, 1]
    np.testing.assert_allclose(residual_of(logits, labels), [[-0.75, 0.75], [0.5, -0.5]], atol=1e-6)
    np.testing.assert_allclose(losses(logits, labels), [math.log(4), math.log(2)])


def test_the_residual_is_the_gradient_of_the_loss() -> None:
    logits, labels, _ = case()
    step = 1e-5
    for column in range(7):
        up, down = logits.copy(), logits.copy()
        up[:, column] += step
        down[:, column] -= step
        slope = (losses(up, labels) - losses(down, labels)) / (2 * step)
        np.testing.assert_allclose(residual_of(logits, labels)[:, column], slope, atol=1e-6)


def test_huge_logits_neither_overflow_nor_vanish() -> None:
    logits = [[1e4, 0.0], [-1e4, 0.0]]
    assert losses(logits, [1, 0]).tolist() == [1e4, 1e4]
    np.testing.assert_allclose(residual_of(logits, [0, 0]), [[0, 0], [-1, 1]])
    assert divergences(logits, [[0.0, 1e4], [0.0, 1e4]]).tolist() == [1e4, 0]


def test_divergence_in_closed_form_and_zero_for_the_same() -> None:
    teacher, student = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    np.testing.assert_allclose(divergences(teacher, student), [expected, 0], atol=1e-12)
    logits, _, _ = case()
    np.testing.assert_allclose(divergences(logits, logits + 100), 0, atol=1e-12)
    assert (divergences(logits, logits[::-1]) > 0).all()


def test_divergence_has_a_direction() -> None:
    teacher, student = np.log([[0.99, 0.01]]), np.log([[0.5, 0.5]])
    assert divergences(teacher, student)[0] != pytest.approx(divergences(student, teacher)[0], rel=0.1)


def test_temperature_divides_both() -> None:
    logits, _, _ = case()
    other = logits[::-1]
    np.testing.assert_allclose(divergences(logits, other, temperature=4), divergences(logits / 4, other / 4))


def test_the_gram_is_that_of_the_outer_products() -> None:
    logits, labels, features = case()
    residuals = residual_of(logits, labels).astype(np.float64)
    formed = np.einsum("ic,id->icd", residuals, features).reshape(40, -1)
    np.testing.assert_allclose(outer_gram(residuals, features), formed @ formed.T, atol=1e-10)


def test_small_outer_products_are_exact() -> None:
    logits, labels, features = case()
    found = outer_product(logits, labels, features, width=84)
    assert found.shape == (40, 84)
    np.testing.assert_allclose(found @ found.T, outer_gram(residual_of(logits, labels), features), atol=1e-4)


@pytest.mark.parametrize("width", [64, 1024, 16384])
def test_projected_outer_products_err_as_said(width: int) -> None:
    logits, labels, features = case(60, 40, 500)
    residuals = residual_of(logits, labels).astype(np.float64)
    residuals /= np.linalg.norm(residuals, axis=1, keepdims=True)
    exact = outer_gram(residuals, features / np.linalg.norm(features, axis=1, keepdims=True))
    found = outer_product(logits, labels, features, width=width).astype(np.float64)
    assert found.shape == (60, width)
    lengths = np.linalg.norm(residual_of(logits, labels), axis=1) * np.linalg.norm(features, axis=1)
    found /= lengths[:, None]
    error = found @ found.T - exact
    assert np.sqrt((error**2).mean()) < 3 / np.sqrt(width)
    assert np.abs(error).max() < 6 * 3 / np.sqrt(width)


def test_without_projection_columns_would_be_something_else() -> None:
    """The concatenation of residual and features looks alike; its inner products add instead of multiply."""
    logits, labels, features = case()
    residuals = residual_of(logits, labels)
    side_by_side = np.hstack([residuals, features])
    assert np.abs(side_by_side @ side_by_side.T - outer_gram(residuals, features)).max() > 1


def test_residuals_of_a_class_can_be_chosen_from() -> None:
    logits, labels, _ = case(200)
    chosen = facility_location(residual_of(logits, labels), 21, labels=labels)
    assert set(labels[chosen.indices]) == set(range(7))


def test_columns_and_refusals() -> None:
    assert columns(["b", "a", "b"], ["a", "b"]).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="does not know the class 'c'"):
        columns(["a", "c"], ["a", "b"])
    with pytest.raises(ValueError, match=r"logits have shape \(3,\)"):
        losses([1.0, 2, 3], [0, 0, 0])
    with pytest.raises(ValueError, match="row 1 is 2, of 2 columns"):
        losses([[1.0, 2], [1, 2]], [0, 2])
    with pytest.raises(ValueError, match="row 0 is -1"):
        losses([[1.0, 2], [1, 2]], [-1, 1])
    with pytest.raises(ValueError, match="logits: row 1 is not finite"):
        residual_of([[1.0, 2], [np.nan, 2]], [0, 1])
    with pytest.raises(ValueError, match="labels are float64"):
        losses([[1.0, 2]], [0.5])
    with pytest.raises(ValueError, match=r"\(1, 2\) and the student's \(1, 3\)"):
        divergences([[1.0, 2]], [[1.0, 2, 3]])
    with pytest.raises(ValueError, match="temperature is 0"):
        divergences([[1.0, 2]], [[1.0, 2]], temperature=0)
    with pytest.raises(ValueError, match="width is 0"):
        outer_product([[1.0, 2]], [0], [[1.0]], width=0)
    with pytest.raises(ValueError, match=r"give \(1, d\)"):
        outer_product([[1.0, 2]], [0], [[1.0], [2.0]])


def test_largest_takes_the_largest_and_the_first_of_equals() -> None:
    chosen = largest([1.0, 5, 3, 5, -2], 3, name="max-loss")
    assert chosen.indices.tolist() == [1, 3, 2] and chosen.gains.tolist() == [5, 5, 3]
    assert chosen.objective == chosen.upper_bound == 13 and chosen.method == "max-loss"
    assert largest([1.0, 5, 3, 5, -2], 2, labels=list("aabbb")).indices.tolist() == [1, 3]
    assert len(largest([], 2).indices) == 0
    with pytest.raises(ValueError, match="row 1 is not finite"):
        largest([1.0, np.inf], 1)
    with pytest.raises(ValueError, match="give \\(n,\\)"):
        largest([[1.0]], 1)
