"""The sparse road: exact with all neighbours, close with some, and honest about what it does not see."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, facility_location
from augforge.algorithms.selection.kernels import Sparse
from augforge.algorithms.selection.points import likeness_of, placed
from tests.algorithms.selection.reference import cloud, similarity_matrix, value


def mixture(n: int, d: int = 32, centres: int = 20) -> np.ndarray:
    draw = np.random.default_rng(4)
    return draw.normal(size=(centres, d))[draw.integers(centres, size=n)] + 0.6 * draw.normal(size=(n, d))


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_all_neighbours_is_dense(similarity: Similarity) -> None:
    for seed in range(10):
        features = cloud(seed, 80)
        sparse = facility_location(features, 20, method="sparse", neighbours=80, similarity=similarity)
        dense = facility_location(features, 20, method="dense", similarity=similarity)
        assert sparse.indices.tolist() == dense.indices.tolist()
        np.testing.assert_allclose(sparse.gains, dense.gains, atol=1e-5)
        np.testing.assert_allclose(sparse.weights, dense.weights)
        assert sparse.objective == pytest.approx(dense.objective, abs=1e-4)


def test_few_neighbours_come_close() -> None:
    features = mixture(1500)
    dense = facility_location(features, 150, method="dense")
    sparse = facility_location(features, 150, method="sparse", neighbours=50)
    assert sparse.objective >= 0.995 * dense.objective
    assert sparse.upper_bound >= dense.objective


def test_objective_and_weights_are_of_all_similarities() -> None:
    features = mixture(400).astype(np.float32)
    chosen = facility_location(features, 10, method="sparse", neighbours=5)
    matrix = similarity_matrix(features, "cosine")
    assert chosen.objective == pytest.approx(value(matrix, chosen.indices), rel=1e-5)
    assert chosen.gains.sum() < chosen.objective  # the gains saw neighbours only
    owners = matrix[:, chosen.indices].argmax(axis=1)
    np.testing.assert_allclose(chosen.weights, np.bincount(owners, minlength=10) * 10 / 400)
    assert "of 400 members have no kept one among their 5 nearest: raise neighbours" in chosen.notes[0]


def test_a_row_with_many_copies_keeps_itself() -> None:
    points, _ = placed(np.vstack([np.ones((50, 3)), cloud(0, 10, d=3)]), "cosine")
    kernel = Sparse(points, likeness_of("cosine", 1, 1), 5)
    assert all(kernel.gain(j, np.zeros(60, dtype=np.float32)) >= 1 for j in range(60))


def test_importing_loads_nothing_heavy() -> None:
    heavy = ["faiss", "scipy", "sklearn", "torch", "pandas", "pyarrow"]
    code = f"import sys, augforge.algorithms.selection; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
