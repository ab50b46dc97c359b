"""Metrics from closed forms, toy sets, slow references, and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augforge.algorithms.metrics import frechet_distance, kernel_distance, manifolds, nearest_distances, vendi_score

RANDOM = np.random.default_rng(0)


def with_moments(mean, covariance, n: int = 50) -> np.ndarray:
    """(n, d) points whose mean and covariance (with n - 1) are exactly these."""
    points = RANDOM.normal(size=(n, len(mean)))
    points -= points.mean(axis=0)
    points = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points, rowvar=False))).T
    return points @ np.linalg.cholesky(np.array(covariance, dtype=float)).T + mean


def test_frechet_distance_of_two_normal_distributions_is_the_closed_form():
    left, right = with_moments([0, 0], np.diag([4.0, 9.0])), with_moments([3, 4], np.diag([1.0, 1.0]))
    # |(3, 4)|^2 + (2 - 1)^2 + (3 - 1)^2: where covariances commute, deviations subtract
    assert frechet_distance(left, right) == pytest.approx(25 + 1 + 4)
    assert frechet_distance(left, left) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_the_covariances_do_not_commute():
    a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 4.0])
    product = np.linalg.eigvals(a @ b)
    expected = np.trace(a) + np.trace(b) - 2 * np.sqrt(product).sum()
    assert frechet_distance(with_moments([0, 0], a), with_moments([0, 0], b)) == pytest.approx(expected)


def test_fid_is_that_of_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance

    left, right = RANDOM.normal(size=(60, 8)), RANDOM.normal(0.4, 1.3, size=(40, 8))
    reference = FrechetInceptionDistance(features_as_they_are(8))
    reference.update(torch.from_numpy(left), real=True)
    reference.update(torch.from_numpy(right), real=False)
    assert frechet_distance(left, right) == pytest.approx(float(reference.compute()), rel=1e-6)


def test_kid_is_that_of_torchmetrics_over_all_pairs():
    from torchmetrics.image.kid import KernelInceptionDistance

    left, right = RANDOM.normal(size=(50, 8)), RANDOM.normal(0.4, 1.3, size=(50, 8))
    reference = KernelInceptionDistance(features_as_they_are(8), subsets=1, subset_size=50)
    reference.update(torch.from_numpy(left), real=True)
    reference.update(torch.from_numpy(right), real=False)
    assert kernel_distance(left, right) == pytest.approx(float(reference.compute()[0]), rel=1e-6)


def features_as_they_are(width: int) -> torch.nn.Module:
    identity = torch.nn.Identity()
    identity.num_features = width
    return identity


def test_kid_of_two_points_each_in_closed_form_and_the_biased_variant_is_another():
    left, right = np.array([[1.0], [-1.0]]), np.array([[0.0], [2.0]])
    # (xy + 1)^3: within left 0, within right 1, across 1, 27, 1 and -1
    assert kernel_distance(left, right) == 0 + 1 - 2 * (1 + 27 + 1 - 1) / 4
    biased = ((8 + 0 + 0 + 8) + (1 + 1 + 1 + 125)) / 4 - 2 * 28 / 4  # pairs of a point with itself count, too
    assert biased == 22 and kernel_distance(left, right) == -13
    assert kernel_distance(left, left) == 0 - 2 * (8 + 0 + 0 + 8) / 4, (
        "the same points twice: below 0, no proof of more"
    )


def test_kid_of_two_samples_of_one_distribution_is_about_zero_and_may_be_below():
    values = [kernel_distance(RANDOM.normal(size=(40, 4)), RANDOM.normal(size=(40, 4))) for _ in range(30)]
    assert min(values) < 0 < max(values)  # the biased estimate never goes below 0
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(30)


def test_manifolds_of_toy_sets():
    real = np.arange(10, dtype=float)[:, None]  # on a line, 1 apart
    same = manifolds(real, real + 0.01, nearest=1)
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    far = manifolds(real, real + 100, nearest=1)
    assert (far.precision, far.recall, far.density, far.coverage) == (0.0, 0.0, 0.0, 0.0)
    half = manifolds(real, np.array([[0.0], [1.0], [2.0], [50.0]]), nearest=1)
    assert half.precision == 0.75  # 50 is in no ball
    assert half.coverage == 0.4  # 0, 1, 2 and 3, whose ball ends at 2
    assert half.density == pytest.approx((2 + 3 + 3 + 0) / 4)
    assert half.recall == 1.0  # one outlier's ball holds all: what density and coverage mend


def test_manifolds_against_a_slow_reference():
    real, made = RANDOM.normal(size=(30, 3)), RANDOM.normal(0.5, 0.7, size=(20, 3))
    found = manifolds(real, made, nearest=3)
    reach = [sorted(np.linalg.norm(x - real, axis=1))[3] for x in real]
    reached = [sorted(np.linalg.norm(y - made, axis=1))[3] for y in made]
    near = [[np.linalg.norm(x - y) <= r for y in made] for x, r in zip(real, reach, strict=True)]
    back = [[np.linalg.norm(x - y) <= r for y, r in zip(made, reached, strict=True)] for x in real]
    assert found.precision == pytest.approx(np.any(near, axis=0).mean())
    assert found.recall == pytest.approx(np.any(back, axis=1).mean())
    assert found.density == pytest.approx(np.sum(near) / (3 * 20))
    assert found.coverage == pytest.approx(np.any(near, axis=1).mean())


def test_manifolds_of_very_few():
    alone = manifolds(np.zeros((1, 2)), np.zeros((1, 2)))
    assert (alone.precision, alone.coverage) == (1.0, 1.0)
    assert manifolds(np.zeros((2, 2)), np.ones((1, 2))).precision == 0.0


@pytest.mark.parametrize(("vectors", "score"), [
    (np.ones((7, 3)), 1.0),
    (np.eye(5), 5.0),
    (np.repeat(np.eye(2), 50, axis=0), 2.0),
    (np.vstack([np.eye(2)[[0]]] * 3 + [np.eye(2)[[1]]]), np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))),
])  # fmt: skip
def test_vendi_scores_that_are_known(vectors, score):
    assert vendi_score(vectors) == pytest.approx(score)


def test_vendi_does_not_ask_for_length_and_is_the_same_both_ways_round():
    wide, tall = RANDOM.normal(size=(6, 9)), RANDOM.normal(size=(30, 9))
    assert vendi_score(wide * 7) == pytest.approx(vendi_score(wide))
    cosines = np.corrcoef(tall - 0)  # another matrix: the centred one is not the score
    unit = tall / np.linalg.norm(tall, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / 30).clip(1e-15)
    assert vendi_score(tall) == pytest.approx(np.exp(-(values * np.log(values)).sum()))
    assert np.linalg.norm(cosines - unit @ unit.T) > 1
    with pytest.raises(ValueError, match="no cosines"):
        vendi_score(np.zeros((2, 3)))


def test_nearest_distances():
    assert nearest_distances(np.array([[0.0, 0], [3, 4]]), np.array([[0.0, 1], [3, 4]])).tolist() == [1.0, 0.0]
