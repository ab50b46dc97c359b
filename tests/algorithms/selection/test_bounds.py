"""What is proven of choices from points that are read by rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, certify, facility_location
from augforge.algorithms.selection import bounds as b
from augforge.algorithms.selection.bounds import bounds_of, curve_of, deviation
from augforge.algorithms.selection.by_rows import ArrayRows
from tests.algorithms.selection.reference import similarity_matrix, value
from tests.algorithms.selection.test_distributed import backwards, keys_of, pool
from tests.algorithms.selection.test_neighbours import mixture


def test_the_bound_of_tiny_pools_is_over_the_best_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """In three cells, so that what cells leave out counts; without it the bound would be wrong."""
    monkeypatch.setattr(b, "_CELL_ROWS", 5)
    without = 0
    for seed, k in itertools.product(range(30), (1, 3)):
        features = np.random.default_rng(seed).normal(size=(14, 3)).astype(np.float32) + np.float32(1)
        matrix = np.maximum(similarity_matrix(features, "cosine"), 0)
        values = {some: value(matrix, np.array(some)) for some in itertools.combinations(range(14), k)}
        best, worst = max(values.values()), np.array(min(values, key=lambda some: values[some]))
        here = pool(features, keys_of(14, seed))
        for chosen in (worst, np.array(facility_location(features, k, method="dense").indices)):
            found = bounds_of(here, chosen, 1e-6, 10**6)
            assert found.rows == 14
            assert best <= found.upper_bound + 1e-4
            assert found.interval == pytest.approx((value(matrix, chosen),) * 2, abs=1e-4)
        monkeypatch.setattr(b, "deviation", lambda values, doubt, n: -float(values.mean()))
        without += bounds_of(here, worst, 1e-6, 10**6).upper_bound < best - 1e-4
        monkeypatch.setattr(b, "deviation", deviation)
    assert without > 0


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_the_bound_says_more_than_that_similarities_are_at_most_one(similarity: Similarity) -> None:
    features = mixture(9000)
    dense = facility_location(features, 450, similarity=similarity, method="dense")
    found = bounds_of(pool(features, similarity=similarity), dense.indices, 1e-6, 10**9)
    assert dense.objective <= found.upper_bound < 0.98 * 9000
    assert dense.objective / found.upper_bound > 0.9


def test_the_interval_holds_the_true_objective() -> None:
    """Of 200 samples, each by other keys, at a doubt of 1 %; half of it would have missed some."""
    features = mixture(6000)
    chosen = np.arange(0, 6000, 60)
    matrix = np.maximum(similarity_matrix(features, "cosine"), 0)
    true = matrix[:, chosen].max(axis=1)
    inside, spread = 0, []
    for seed in range(200):
        here = pool(features, keys_of(6000, seed))
        sample = here.first(600, 4)
        off = deviation(true[sample], 0.01 / 4, 6000)
        inside += abs(true[sample].mean() - true.mean()) <= off
        spread.append(abs(true[sample].mean() - true.mean()) / off)
    assert inside >= 198
    assert max(spread) > 0.2


def test_deviations() -> None:
    draw = np.random.default_rng(0)
    narrow, wide = 0.5 + 0.01 * draw.random(20_000), draw.integers(0, 2, size=200).astype(float)
    assert deviation(narrow, 1e-6, 10**6) < 0.2 * np.sqrt(np.log(2e6) / 40_000)  # Bernstein's
    assert deviation(wide, 1e-6, 10**6) == pytest.approx(np.sqrt(np.log(2e6) / 400))  # Hoeffding's
    assert deviation(wide, 1e-6, 200) == 0  # nothing is left out


def test_the_order_of_cells_and_rows_changes_nothing() -> None:
    features, keys = mixture(9000), keys_of(9000)
    shuffle = np.random.default_rng(1).permutation(9000)
    chosen = np.arange(0, 9000, 90)
    found = bounds_of(pool(features, keys), chosen, 1e-6, 10**7)
    there = np.argsort(shuffle)[chosen]
    other = bounds_of(pool(features[shuffle], keys[shuffle]), there, 1e-6, 10**7, backwards)
    assert other.upper_bound == pytest.approx(found.upper_bound, rel=1e-9)
    assert other.interval == pytest.approx(found.interval, rel=1e-9)


def test_curves_from_all_rows_are_exact() -> None:
    features, order = mixture(500), np.arange(0, 500, 10)
    matrix = np.maximum(similarity_matrix(features, "cosine"), 0)
    found = curve_of(pool(features), np.arange(500), order, [0, 1, 7, 7, 50])
    assert found == pytest.approx([value(matrix, order[:end]) if end else 0 for end in (0, 1, 7, 7, 50)], abs=1e-3)


def test_the_certificate_of_a_distributed_selection() -> None:
    features, keys = mixture(20_000), keys_of(20_000)
    labels = np.repeat(["large", "small"], [18_000, 2000])
    given = {"labels": labels, "keys": keys}
    found = facility_location(ArrayRows(features), 1000, method="distributed", **given)
    proven = certify(ArrayRows(features), found, pairs=10**7, **given)
    assert proven.interval is not None
    assert proven.interval[0] <= proven.objective <= proven.interval[1]
    assert proven.objective < proven.upper_bound < 20_000
    assert proven.random < proven.objective
    assert proven.confidence == 1 - 1e-6
    assert proven.facts()["objective-interval"] == list(proven.interval)
    assert certify(features, found, pairs=10**7, **given).upper_bound == proven.upper_bound
