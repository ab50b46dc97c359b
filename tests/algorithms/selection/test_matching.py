"""Gradient matching against brute force and closed forms; what others do wrong fails."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from augforge.algorithms.selection import facility_location, gradient_matching, softmax_residual


def rows(seed: int, n: int = 9, d: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 0.5


def error_of(gradients: np.ndarray, chosen: list[int], ridge: float) -> float:
    """The least of |t - sum w g|^2 + penalty |w|^2 over w >= 0, by another solver."""
    penalty = ridge * (gradients**2).sum(axis=1).mean()
    wide = np.vstack([gradients[chosen].T, np.sqrt(penalty) * np.eye(len(chosen))])
    target = np.concatenate([gradients.sum(axis=0), np.zeros(len(chosen))])
    return float(nnls(wide, target)[1] ** 2)


def fitted(gradients: np.ndarray, chosen: list[int], ridge: float) -> np.ndarray:
    penalty = ridge * (gradients**2).sum(axis=1).mean()
    wide = np.vstack([gradients[chosen].T, np.sqrt(penalty) * np.eye(len(chosen))])
    return nnls(wide, np.concatenate([gradients.sum(axis=0), np.zeros(len(chosen))]))[0]


def test_of_orthogonal_rows_those_with_the_longest_part_in_the_sum_are_chosen_with_weight_one() -> None:
    lengths = np.array([3.0, 1.0, 5.0, 2.0, 4.0])
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
    found = gradient_matching(np.diag(lengths) @ turn, 3, ridge=0.0)
    assert found.indices.tolist() == [2, 4, 0]
    np.testing.assert_allclose(found.weights, 1.0)
    np.testing.assert_allclose(found.gains, [25, 16, 9])
    assert found.objective == pytest.approx(-(1 + 4))


def test_copies_count_as_often_as_they_are_there() -> None:
    gradients = np.array([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 2)
    found = gradient_matching(gradients, 2, ridge=0.0)
    assert sorted(found.indices.tolist()) == [0, 6]
    by_row = dict(zip(found.indices.tolist(), found.weights.tolist(), strict=True))
    assert by_row[0] == pytest.approx(3 * by_row[6]) and sum(by_row.values()) == pytest.approx(2)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4), ridge=st.sampled_from([0.0, 0.1, 0.5, 2.0]))
def test_the_weights_are_the_best_for_the_chosen_and_no_choice_is_better_than_the_best(seed, k, ridge) -> None:
    gradients = rows(seed)
    found = gradient_matching(gradients, k, ridge=ridge)
    chosen = found.indices.tolist()
    assert -found.objective == pytest.approx(error_of(gradients, chosen, ridge), rel=1e-6, abs=1e-9)
    expected = fitted(gradients, chosen, ridge)
    np.testing.assert_allclose(found.weights, expected * len(chosen) / expected.sum(), rtol=1e-5)
    assert (found.weights > 0).all() and len(set(chosen)) == len(chosen) <= k
    best = min(error_of(gradients, list(some), ridge) for some in combinations(range(9), k))
    assert -found.objective >= best - 1e-9
    if k == 1:
        assert -found.objective == pytest.approx(best)


def test_it_is_nearly_as_good_as_brute_force_and_better_than_chance() -> None:
    draw, shares = np.random.default_rng(1), []
    for seed in range(40):
        gradients = rows(seed)
        all_of_three = [error_of(gradients, list(some), 0.1) for some in combinations(range(9), 3)]
        found = -gradient_matching(gradients, 3, ridge=0.1).objective
        shares.append((found / min(all_of_three), draw.choice(all_of_three) / min(all_of_three)))
    ours, chance = np.median(shares, axis=0)
    assert ours < 1.2 < 1.5 < chance


def test_without_fitting_anew_or_with_weights_of_any_sign_it_would_be_wrong() -> None:
    gradients = np.array([[2.0, 2.0, 0.1], [2.0, 1.0, 0.0], [1.0, 2.5, 0.0], [-1.0, 0.5, 1.0], [0.5, -1.0, 0.2]])
    found = gradient_matching(gradients, 3, ridge=0.0)
    rest, plain = gradients.sum(axis=0), []
    for _ in range(3):  # matching pursuit: earlier weights stay as they were
        towards = gradients @ rest / (gradients**2).sum(axis=1) ** 0.5
        row = int(towards.argmax())
        plain.append(row)
        rest = rest - gradients[row] * (gradients[row] @ rest) / (gradients[row] @ gradients[row])
    assert rest @ rest > -found.objective + 1e-6
    signed = np.linalg.lstsq(rows(4)[:6].T, rows(4).sum(axis=0), rcond=None)[0]
    assert (signed < 0).any() and (gradient_matching(rows(4), 6).weights > 0).all()


def test_rows_of_other_lengths_are_compared_by_what_they_bring_and_not_by_their_length() -> None:
    gradients = np.array([[10.0, -8.0], [-8.0, 8.0], [1.0, 1.0]])
    target = gradients.sum(axis=0)
    brought = np.maximum(gradients @ target, 0) ** 2 / (gradients**2).sum(axis=1)
    found = gradient_matching(gradients, 1, ridge=0.0).indices.tolist()
    assert found == [int(brought.argmax())] != [int((gradients @ target).argmax())]


def test_where_the_sum_is_matched_no_more_are_chosen_and_it_is_said() -> None:
    gradients = np.repeat(np.eye(2), 5, axis=0)
    found = gradient_matching(gradients, 6, labels=["a"] * 10, ridge=0.0)
    assert len(found.indices) == 2 and found.notes == [
        "class a: 2 of 6 match the gradient: no further image brings it nearer"
    ]
    assert len(gradient_matching(gradients, 6, ridge=0.5).indices) == 6


def test_gradients_that_cancel_leave_nothing_to_match() -> None:
    found = gradient_matching(np.zeros((4, 2)), 2)
    assert len(found.indices) == 2 and found.weights.tolist() == [1, 1]


@given(seed=st.integers(0, 1000))
def test_each_class_is_matched_by_itself_in_any_order_of_rows(seed) -> None:
    draw = np.random.default_rng(seed)
    gradients, labels = rows(seed, 30, 4), draw.integers(3, size=30)
    found = gradient_matching(gradients, 9, labels=labels)
    order = draw.permutation(30)
    again = gradient_matching(gradients[order], 9, labels=labels[order])
    assert set(order[again.indices].tolist()) == set(found.indices.tolist())
    members = np.flatnonzero(labels == 1)
    share = int((labels[found.indices] == 1).sum())
    alone = gradient_matching(gradients[members], share)
    assert members[alone.indices].tolist() == found.indices[labels[found.indices] == 1].tolist()


def test_residuals_are_matched_better_than_by_facility_location_or_chance() -> None:
    draw = np.random.default_rng(5)
    labels = draw.integers(6, size=200)
    residuals = softmax_residual(2 * draw.normal(size=(200, 6)), labels).astype(np.float64)
    target = residuals[labels == 2].sum(axis=0)

    def off(chosen: np.ndarray, weights: np.ndarray) -> float:
        """How far the direction of the sum is from that of the class, as a sine."""
        ours = (weights * (labels[chosen] == 2)) @ residuals[chosen]
        return float(np.sqrt(1 - (ours @ target) ** 2 / (ours @ ours) / (target @ target)))

    matched = gradient_matching(residuals, 24, labels=labels, ridge=0.01)
    covered = facility_location(residuals, 24, labels=labels, similarity="euclidean")
    members = np.flatnonzero(labels == 2)
    chance = [off(draw.permutation(members)[:4], np.ones(4)) for _ in range(50)]
    assert off(matched.indices, matched.weights) < 0.5 * off(covered.indices, covered.weights)
    assert off(matched.indices, matched.weights) < 0.3 * np.median(chance)


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(ValueError, match="ridge is -1"):
        gradient_matching(rows(0), 2, ridge=-1)
    with pytest.raises(ValueError, match="row 1 is not finite"):
        gradient_matching([[1.0], [np.nan]], 1)
    whole = gradient_matching(rows(0), 20, ridge=0.0)
    assert whole.indices.tolist() == list(range(9)) and whole.objective == 0
