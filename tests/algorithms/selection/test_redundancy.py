"""Thinning of dense places: known choices, and that order of rows does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import least_redundant
from augforge.algorithms.selection import redundancy as module


def spokes(angles: list[float]) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_of_near_copies_one_stays_and_the_one_farther_from_the_centre() -> None:
    features = spokes([0.0, 0.01, 1.5, 1.51, 3.0, 3.02])
    found = least_redundant(features, 3)
    assert sorted(found.indices.tolist()) == [
        0,
        2,
        5,
    ]  # the outer ones of the first and last pair; of the middle either
    assert found.weights.tolist() == [1, 1, 1]


def test_a_dense_place_is_thinned_and_a_sparse_one_left_alone() -> None:
    draw = np.random.default_rng(0)
    dense = draw.normal(size=(80, 8)) * 0.05 + np.eye(8)[0]
    sparse = draw.normal(size=(20, 8))
    found = least_redundant(np.vstack([dense, sparse]), 30).indices
    assert (found >= 80).sum() == 20


def test_larger_budgets_only_add_and_rows_in_another_order_give_the_same() -> None:
    draw = np.random.default_rng(1)
    features, labels, order = draw.normal(size=(60, 5)), draw.integers(3, size=60), draw.permutation(60)
    small, large = least_redundant(features, 20, labels=labels), least_redundant(features, 40, labels=labels)
    assert set(small.indices.tolist()) < set(large.indices.tolist())
    again = least_redundant(features[order], 20, labels=labels[order])
    assert set(order[again.indices].tolist()) == set(small.indices.tolist())
    assert len(least_redundant(features, 99).indices) == 60


def test_cells_only_compare_within(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(module, "CELL", 16)
    draw = np.random.default_rng(2)
    whole = draw.normal(size=(60, 4))
    twice = np.vstack([whole, whole + 1e-4])
    found = least_redundant(twice, 60).indices
    assert len({row % 60 for row in found.tolist()}) > 50  # copies fall into one cell, but for a few at its edge
