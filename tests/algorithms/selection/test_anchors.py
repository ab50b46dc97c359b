"""Diverse anchors against the published rule, step by step, by brute force."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from numpy.typing import NDArray

from augforge.algorithms.selection import Selection, diverse_anchors
from augforge.stages.selectors.diverse_anchors import DiverseAnchors
from tests.algorithms.selection.reference import cloud, clusters


def hashes(n: int, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, size=n, dtype=np.uint64)


def products(features: NDArray[np.float32]) -> NDArray[np.float64]:
    x = features.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def outside(features: NDArray[np.float32], chosen: list[int], exclude: str, include: str) -> int:
    """How many steps left the band, from the definition; a tie of similarities spans several positions."""
    matrix, wrong = products(features), 0
    for step in range(1, len(chosen)):
        nearest = matrix[:, chosen[:step]].max(axis=1)
        left = np.setdiff1d(np.arange(len(features)), chosen[:step])
        v = len(left)
        low, high = floor(v * (1 - Fraction(include))), floor(v * (1 - Fraction(exclude)))
        high = max(high, low + 1)
        first = int((nearest[left] < nearest[chosen[step]] - 3e-6).sum())
        last = int((nearest[left] <= nearest[chosen[step]] + 3e-6).sum())
        wrong += chosen[step] not in left or last <= low or first >= high
    return wrong


@pytest.mark.parametrize(("exclude", "include"), [("0.2", "0.8"), ("0", "1"), ("0.5", "1"), ("0", "0.1"), ("0.9", "1")])
def test_every_step_is_in_its_band(exclude: str, include: str) -> None:
    for seed in range(5):
        features = cloud(seed, 90)
        found = diverse_anchors(
            features, 60, exclude=float(exclude), include=float(include), keys=hashes(90, seed), draw=seed
        )
        chosen = found.indices.tolist()
        assert len(set(chosen)) == 60
        assert outside(features, chosen, exclude, include) == 0


def test_the_brute_force_notices_another_band() -> None:
    features = cloud(1, 90)
    chosen = diverse_anchors(features, 60, exclude=0, include=1, keys=hashes(90)).indices.tolist()
    assert outside(features, chosen, "0.2", "0.8") > 5


def test_the_whole_band_is_used_and_about_evenly() -> None:
    features = np.array([[1.0, 0], [0.99, 0.14], [0.9, 0.43], [0.7, 0.71], [0.5, 0.86], [0, 1]], dtype=np.float32)
    first, second = np.zeros(6), np.zeros(6)
    for seed in range(3000):
        one, two = diverse_anchors(features, 2, keys=hashes(6, seed)).indices
        first[one] += 1
        if one == 0:  # rising similarity to row 0: rows 5, 4, 3, 2, 1; positions floor(5 * .2) to floor(5 * .8)
            second[two] += 1
    assert abs(first - 500).max() < 5 * np.sqrt(3000 / 6)
    assert second[[0, 1, 5]].sum() == 0
    assert abs(second[2:5] - first[0] / 3).max() < 5 * np.sqrt(first[0] / 3)


def test_exact_duplicates_never_come_twice() -> None:
    features = clusters([7, 1, 4, 12, 3])
    for exclude, include in ((0.0, 0.05), (0.0, 1.0), (0.2, 0.8)):
        found = diverse_anchors(features, 26, exclude=exclude, include=include, keys=hashes(27))
        assert len(set(found.indices.tolist())) == 26
    nearest_first = diverse_anchors(features, 12, exclude=0, include=0.01, keys=hashes(27))
    kinds = features[nearest_first.indices].argmax(axis=1)  # always the most similar: a group is used up first
    assert (np.diff(kinds) != 0).sum() == len(set(kinds.tolist())) - 1


def test_order_of_rows_does_not_matter_and_draws_do() -> None:
    features, keys, labels = cloud(3, 80), hashes(80), np.array(["a", "b", "b", "b"] * 20)
    features[10:20] = features[0]  # ties too are broken by keys
    order = np.random.default_rng(1).permutation(80)
    before = diverse_anchors(features, 40, labels=labels, keys=keys)
    after = diverse_anchors(features[order], 40, labels=labels[order], keys=keys[order])
    assert order[after.indices].tolist() == before.indices.tolist()
    np.testing.assert_allclose(after.gains, before.gains, atol=1e-5)
    again = diverse_anchors(features, 40, labels=labels, keys=keys)
    assert again.indices.tolist() == before.indices.tolist()
    others = {tuple(diverse_anchors(features, 40, keys=keys, draw=d).indices.tolist()) for d in range(5)}
    assert len(others) == 5


def test_a_larger_budget_for_a_class_only_adds() -> None:
    features, keys = cloud(5, 60), hashes(60)
    more = diverse_anchors(features, 40, keys=keys).indices.tolist()
    assert diverse_anchors(features, 11, keys=keys).indices.tolist() == more[:11]


def mean_nearest(found: Selection) -> float:
    """The mean similarity to the nearest other chosen row."""
    return 1 - found.objective / len(found.indices)


def test_lies_between_a_random_choice_and_one_that_keeps_the_outliers() -> None:
    for seed in range(3):
        features, keys = cloud(seed, 1000, d=32), hashes(1000, seed)
        chance = np.random.default_rng(seed).choice(1000, 100, replace=False)
        among = products(features[chance]) - 2 * np.eye(100)
        random = float(among.max(axis=1).mean())
        published = mean_nearest(diverse_anchors(features, 100, keys=keys))
        spread = mean_nearest(diverse_anchors(features, 100, exclude=0.5, include=1, keys=keys))
        assert spread < published - 0.01 and published < random - 0.005


def test_says_what_it_reached() -> None:
    features = cloud(2, 50)
    found = diverse_anchors(features, 20, keys=hashes(50))
    matrix, chosen = products(features), found.indices
    gains = [0.0] + [1 - matrix[chosen[k], chosen[:k]].max() for k in range(1, 20)]
    np.testing.assert_allclose(found.gains, gains, atol=1e-5)
    among = matrix[np.ix_(chosen, chosen)] - 4 * np.eye(20)
    assert found.objective == pytest.approx((1 - among.max(axis=1)).sum(), abs=1e-4)
    owners = matrix[:, chosen].argmax(axis=1)
    np.testing.assert_allclose(found.weights, np.bincount(owners, minlength=20) * 20 / 50)
    assert 0 < found.objective <= found.upper_bound == pytest.approx(400 / 19)


def test_the_bound_is_reached_by_a_simplex_and_never_passed() -> None:
    simplex = np.vstack([np.eye(4) - 0.25, np.eye(4)[:1] - 0.25])  # the fifth is a copy
    found = diverse_anchors(simplex, 4, exclude=0.5, include=1, keys=hashes(5))
    assert found.objective == pytest.approx(found.upper_bound, abs=1e-4) == pytest.approx(16 / 3)
    for seed in range(20):
        found = diverse_anchors(cloud(seed, 12, d=2), 6, exclude=0.5, include=1, keys=hashes(12, seed))
        assert found.objective <= found.upper_bound


def test_edges() -> None:
    assert len(diverse_anchors(np.empty((0, 3)), 2, keys=hashes(0)).indices) == 0
    assert len(diverse_anchors(cloud(0, 4), 0, keys=hashes(4)).indices) == 0
    one = diverse_anchors(cloud(0, 4), 1, keys=hashes(4))
    assert (one.objective, one.upper_bound, one.gains.tolist()) == (0, 0, [0])
    everything = diverse_anchors(cloud(0, 6), 9, keys=hashes(6))
    assert everything.indices.tolist() == list(range(6)) and everything.weights.tolist() == [1] * 6
    zeros = diverse_anchors(np.zeros((5, 2)), 3, keys=hashes(5))
    assert len(set(zeros.indices.tolist())) == 3
    features = cloud(0, 6)
    features[4, 1] = np.inf
    with pytest.raises(ValueError, match="row 4 is not finite"):
        diverse_anchors(features, 2, keys=hashes(6))
    with pytest.raises(ValueError, match=r"give uint64 of shape \(6,\)"):
        diverse_anchors(cloud(0, 6), 2, keys=hashes(5))


@pytest.mark.parametrize(("exclude", "include"), [(0.8, 0.2), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 1)])
def test_a_band_that_is_none_is_refused(exclude: float, include: float) -> None:
    with pytest.raises(ValueError, match="give 0 <= exclude < include <= 1"):
        diverse_anchors(cloud(0, 6), 2, exclude=exclude, include=include, keys=hashes(6))
    with pytest.raises(ValueError):
        DiverseAnchors(exclude=exclude, include=include)


def test_the_stage_draws_from_ids() -> None:
    features, ids, labels = cloud(0, 20), [f"id{i:02}" for i in range(20)], ["a"] * 20
    stage = DiverseAnchors(count=8)
    before = stage.choose(8, labels, ids, features)
    after = stage.choose(8, labels, ids[::-1], features[::-1])
    assert [ids[i] for i in before.indices] == [ids[::-1][i] for i in after.indices]
    other = DiverseAnchors(count=8, draw=1).choose(8, labels, ids, features)
    assert other.indices.tolist() != before.indices.tolist()
