"""Facility location in parts that are read by rows: known answers, and what must change nothing."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, facility_location
from augforge.algorithms.selection.by_rows import ArrayRows, Pool, pool_of, salted
from augforge.algorithms.selection.cells import cells_of
from augforge.algorithms.selection.distributed import Plan, distributed, plan_of, random_parts, represented
from augforge.algorithms.selection.kernels import Sparse
from augforge.algorithms.selection.points import Likeness, placed
from augforge.algorithms.selection.sparse_greedy import sparse_greedy
from tests.algorithms.selection.reference import similarity_matrix, value
from tests.algorithms.selection.test_neighbours import mixture

MEMORY = 512 << 20


def keys_of(n: int, seed: int = 0) -> np.ndarray:
    """Hashes of n ids."""
    return np.random.default_rng(seed).integers(0, 2**64, size=n, dtype=np.uint64)


def pool(features: np.ndarray, keys: np.ndarray | None = None, similarity: Similarity = "cosine") -> Pool:
    """All rows of an array."""
    keys = keys_of(len(features)) if keys is None else keys
    return pool_of(ArrayRows(features), np.arange(len(features)), similarity, float(features.shape[1]), keys)


def plan(division: Any, parts: int, neighbours: int = 50) -> Plan:
    """A plan with memory enough."""
    return Plan(division, parts, neighbours, MEMORY)


def backwards(work: Callable[[Any], Any], units: Iterable[Any]) -> Iterator[Any]:
    """A `map` that starts with the last unit, and computes each one twice."""
    units = list(units)
    answers = {number: (work(units[number]), work(units[number]))[1] for number in reversed(range(len(units)))}
    return iter([answers[number] for number in range(len(units))])


@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "exponential"])
def test_points_read_by_rows_are_the_points_of_the_whole(similarity: Similarity) -> None:
    features = mixture(500)
    features[7] = 0
    points, scale = placed(features, similarity)
    found = pool(features, similarity=similarity)
    assert np.abs(found.points(np.arange(500)) - points).max() < 1e-6
    assert found.reading.placement.diameter == pytest.approx(scale)


def test_a_row_that_is_not_finite_is_named() -> None:
    features = mixture(300)
    features[123, 4] = np.nan
    with pytest.raises(ValueError, match="row 123 is not finite"):
        pool(features)


@pytest.mark.parametrize("division", ["hash", "cell"])
def test_one_part_is_the_plain_greedy_choice(division: str) -> None:
    features = mixture(900)
    here = pool(features)
    order = np.argsort(here.keys) if division == "cell" else random_parts(here, 1)[0]
    points = here.points(order)
    expected, gains, _ = sparse_greedy(Sparse(points, Likeness("cosine"), 50), 60)
    found = distributed(here, 60, plan(division, 1))
    if division == "hash":
        assert found.chosen.tolist() == order[expected].tolist()
        assert found.gains.tolist() == gains.tolist()
    matrix = similarity_matrix(features, "cosine")
    assert value(matrix, found.chosen) >= value(matrix, order[expected]) * (1 - 1e-9)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("division", ["hash", "cell"])
def test_parts_come_close_to_the_whole(division: str, similarity: Similarity) -> None:
    features = mixture(5000)
    whole = facility_location(features, 500, similarity=similarity, method="dense")
    matrix = similarity_matrix(features, similarity)
    for parts in (2, 4):
        found = distributed(pool(features, similarity=similarity), 500, plan(division, parts))
        assert len(set(found.chosen.tolist())) == 500
        assert value(matrix, found.chosen) >= 0.99 * whole.objective


def test_random_parts_of_tiny_pools_reach_the_proven_share_of_the_best() -> None:
    """Barbosa et al. (2015): (1 - 1/e) / 2 in expectation, for greedy in the parts and in their union."""
    shares = []
    for seed in range(40):
        features = np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)
        matrix = similarity_matrix(features, "cosine")
        best = max(value(matrix, np.array(some)) for some in itertools.combinations(range(12), 3))
        found = distributed(pool(features, keys_of(12, seed)), 3, plan("hash", 3))
        shares.append(value(matrix, found.chosen) / best)
    assert np.mean(shares) >= (1 - 1 / math.e) / 2
    assert min(shares) > 0.6  # measured: far better than proven


@pytest.mark.parametrize("division", ["hash", "cell"])
def test_the_order_of_rows_and_of_parts_changes_nothing(division: str) -> None:
    features, keys = mixture(3000), keys_of(3000)
    shuffle = np.random.default_rng(1).permutation(3000)
    found = distributed(pool(features, keys), 200, plan(division, 5))
    other = distributed(pool(features[shuffle], keys[shuffle]), 200, plan(division, 5), backwards)
    assert shuffle[other.chosen].tolist() == found.chosen.tolist()
    assert other.gains.tolist() == found.gains.tolist()


def test_parts_by_position_would_depend_on_the_order_of_rows() -> None:
    """The law above can fail: with each row's position for its key, another order is another choice."""
    features, shuffle = mixture(3000), np.random.default_rng(1).permutation(3000)
    position = np.arange(3000, dtype=np.uint64)
    found = distributed(pool(features, position), 200, plan("hash", 5))
    other = distributed(pool(features[shuffle], position), 200, plan("hash", 5))
    assert set(shuffle[other.chosen].tolist()) != set(found.chosen.tolist())


def test_whose_part_a_row_is_in_depends_on_its_key_alone() -> None:
    features, keys = mixture(2000), keys_of(2000)
    part = {int(row): number for number, rows in enumerate(random_parts(pool(features, keys), 4)) for row in rows}
    fewer = random_parts(pool(features[:1500], keys[:1500]), 4)
    assert all(part[int(row)] == number for number, rows in enumerate(fewer) for row in rows)
    assert min(len(rows) for rows in fewer) > 300


def test_what_parts_give_is_chosen_from_along_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augforge.algorithms.selection.distributed.MERGED_ROWS", 300)
    features = mixture(4000)
    found = distributed(pool(features), 100, plan("hash", 8))
    assert "2 levels" in found.note  # of 8 parts to 3 groups, to one
    whole = facility_location(features, 100, method="dense")
    assert value(similarity_matrix(features, "cosine"), found.chosen) >= 0.98 * whole.objective


def test_cells_are_the_same_whatever_the_order_and_hold_every_member_once() -> None:
    features, keys = mixture(6000), keys_of(6000)
    shuffle = np.random.default_rng(2).permutation(6000)
    cells = cells_of(pool(features, keys), 500)
    other = cells_of(pool(features[shuffle], keys[shuffle]), 500, backwards)
    assert [members.tolist() for members in cells.members] == [shuffle[members].tolist() for members in other.members]
    assert sorted(np.concatenate(cells.members).tolist()) == list(range(6000))
    assert max(map(len, cells.members)) <= 1000


def test_copies_of_one_row_are_divided_and_one_of_them_is_enough() -> None:
    copies = np.repeat(np.eye(1, 64, dtype=np.float32), 2700, axis=0)
    others = np.eye(64, dtype=np.float32)[np.random.default_rng(0).integers(1, 64, size=300)]
    features = np.vstack([copies, others])
    for division in ("hash", "cell"):
        found = distributed(pool(features), 64, plan(division, 6))
        assert len(set(features[found.chosen].argmax(axis=1).tolist())) == len(set(features.argmax(axis=1).tolist()))


def test_what_is_said_of_a_choice_is_true() -> None:
    features = mixture(3000)
    here = pool(features)
    found = distributed(here, 100, plan("hash", 3))
    matrix = np.maximum(similarity_matrix(features, "cosine"), 0)
    whole = represented(here, found.chosen)
    assert whole.objective == pytest.approx(value(matrix, found.chosen), abs=0.05)
    owner = matrix[:, found.chosen].argmax(axis=1)
    assert np.abs(whole.sizes - np.bincount(owner, minlength=100)).sum() <= 6  # ties within rounding
    assert (np.diff(found.gains) <= 0).all()


def test_many_representatives_are_looked_up_in_lists_and_never_overrated(monkeypatch: pytest.MonkeyPatch) -> None:
    features = mixture(4000)
    here, chosen = pool(features), np.arange(0, 4000, 4)
    exact = represented(here, chosen)
    monkeypatch.setattr("augforge.algorithms.selection.units._COMPARED", 100)
    listed = represented(here, chosen)
    assert 0.95 * exact.objective <= listed.objective <= exact.objective
    assert listed.sizes.sum() == 4000


def test_the_method_of_a_selection_and_its_classes() -> None:
    features, labels, keys = mixture(4000), np.arange(4000) % 2, keys_of(4000)
    found = facility_location(features, 200, labels=labels, method="distributed", keys=keys)
    assert found.method == "distributed"
    assert found.weights.sum() == pytest.approx(200)
    assert np.bincount(labels[found.indices]).tolist() == [100, 100]
    by_rows = facility_location(ArrayRows(features), 200, labels=labels, method="distributed", keys=keys)
    assert by_rows.indices.tolist() == found.indices.tolist()
    assert by_rows.objective <= by_rows.upper_bound


def test_rows_that_fit_are_chosen_as_ever_though_they_are_read() -> None:
    features = mixture(2000)
    whole, read = (facility_location(source, 100) for source in (features, ArrayRows(features)))
    assert read.indices.tolist() == whole.indices.tolist()
    assert read.objective == whole.objective
    assert read.method == "dense"


def test_plans_depend_on_sizes_alone() -> None:
    assert plan_of(10_000_000, 10_000, 100, MEMORY) == Plan("hash", 153, 100, MEMORY)
    assert plan_of(10_000_000, 100_000, 100, MEMORY).division == "cell"
    assert plan_of(1_000_000, 500_000, 100, MEMORY).division == "cell"
    assert plan_of(1_000_000, 10, 100, MEMORY) == Plan("hash", 123, 100, MEMORY)


def test_salted_keys_are_other_orders() -> None:
    keys = keys_of(10_000)
    one, two = salted(keys, 1), salted(keys, 2)
    assert len(set(one.tolist())) == 10_000
    both = (np.argsort(np.argsort(one)) < 5000) & (np.argsort(np.argsort(two)) < 5000)
    assert abs(int(both.sum()) - 2500) < 150


def test_processes_answer_the_same() -> None:
    features, keys = mixture(3000), keys_of(3000)
    here = pool(features, keys)
    assert (
        pickle.loads(pickle.dumps(here.reading)).points(here.rows[:5]).tolist() == here.points(here.rows[:5]).tolist()
    )
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        found = distributed(here, 150, plan("hash", 4), processes.map)
    assert found.chosen.tolist() == distributed(here, 150, plan("hash", 4)).chosen.tolist()
