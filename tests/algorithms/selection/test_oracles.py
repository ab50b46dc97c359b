"""Facility location against apricot-select and submodlib-py, which are used here and nowhere else."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch

from augforge.algorithms.selection import facility_location
from tests.algorithms.selection.reference import value

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")


@pytest.fixture(autouse=True)
def torch_keeps_its_threads() -> Iterator[None]:
    """Numba, which apricot uses, changes the number of threads of torch, and so the low bits of other tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def oracle(name: str, package: str) -> ModuleType:
    """The library, or a skip with the reason; in CI its absence is a failure."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = f"{package} cannot be imported ({error}): pip install {package}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def mixture(n: int = 2000, d: int = 32, centres: int = 40) -> np.ndarray:
    draw = np.random.default_rng(11)
    rows = draw.normal(size=(centres, d))[draw.integers(centres, size=n)] + 0.7 * draw.normal(size=(n, d))
    return rows.astype(np.float32)


def cosine(features: np.ndarray) -> np.ndarray:
    x = features.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.maximum(x @ x.T, 0)


def exponential(features: np.ndarray) -> np.ndarray:
    x = features.astype(np.float64)
    squares = (x * x).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0))
    np.fill_diagonal(distances, 0)
    return np.exp(-distances / x.shape[1])


KERNELS = {"cosine": cosine, "exponential": exponential}


@pytest.mark.parametrize("similarity", ["cosine", "exponential"])
def test_agrees_with_apricot(similarity: str) -> None:
    apricot = oracle("apricot", "apricot-select")
    features = mixture()
    matrix = KERNELS[similarity](features)
    theirs = apricot.FacilityLocationSelection(200, metric="precomputed", optimizer="lazy").fit(matrix)
    ours = facility_location(features, 200, similarity=similarity, method="dense")
    expected = value(matrix, np.asarray(theirs.ranking))
    assert value(matrix, ours.indices) == pytest.approx(expected, rel=1e-6)
    assert ours.objective == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("similarity", ["cosine", "exponential"])
def test_agrees_with_submodlib(similarity: str) -> None:
    submodlib = oracle("submodlib", "submodlib-py")
    features = mixture()
    matrix = KERNELS[similarity](features)
    theirs = submodlib.FacilityLocationFunction(n=2000, mode="dense", sijs=matrix, separate_rep=False)
    found = theirs.maximize(200, "LazyGreedy", stopIfZeroGain=False, stopIfNegativeGain=False, show_progress=False)
    ours = facility_location(features, 200, similarity=similarity, method="dense")
    expected = value(matrix, np.array([row for row, _ in found]))
    assert ours.objective == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(sum(gain for _, gain in found), rel=1e-5)


def test_the_exponential_kernel_is_submodlibs_euclidean_one() -> None:
    helper = oracle("submodlib.helper", "submodlib-py")
    features = mixture(300)
    theirs = np.asarray(helper.create_kernel(features, metric="euclidean", mode="dense"))
    np.testing.assert_allclose(theirs, exponential(features), atol=1e-3)  # theirs is computed in float32


def test_absence_is_a_failure_in_ci_and_a_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="pip install nothing-like-it"):
        oracle("nothing_like_it", "nothing-like-it")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="pip install nothing-like-it"):
        oracle("nothing_like_it", "nothing-like-it")
