"""Which way is taken for how many rows, and the way through parts."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, facility_location
from augforge.algorithms.selection import strategies as s
from augforge.algorithms.selection.strategies import Strategies
from tests.algorithms.selection.reference import clusters, similarity_matrix, value
from tests.algorithms.selection.test_neighbours import mixture


def parts(features: np.ndarray, budget: int, rows: int, **options: object):
    """A choice in parts of at most `rows` rows."""
    memory = 20 * 50 * rows
    return facility_location(features, budget, method="partition", neighbours=50, memory_budget_bytes=memory, **options)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_parts_come_close_to_the_whole(similarity: Similarity) -> None:
    features = mixture(5000)
    whole = facility_location(features, 500, similarity=similarity, method="dense")
    found = parts(features, 500, 1000, similarity=similarity)
    assert len(set(found.indices.tolist())) == 500
    assert found.objective >= 0.99 * whole.objective
    assert found.upper_bound >= whole.objective


def test_what_is_said_of_parts_is_true() -> None:
    features = mixture(3000)
    found = parts(features, 200, 1000)
    matrix = similarity_matrix(features, "cosine")
    assert value(matrix, found.indices) >= found.objective - 1e-3
    assert value(matrix, found.indices) == pytest.approx(found.objective, rel=0.01)
    assert (np.diff(found.gains) <= 0).all()
    assert found.weights.sum() == pytest.approx(200)


def test_proportional_budgets_for_the_parts_would_be_worse() -> None:
    """One tight cluster and one wide cloud: the merge by gain gives the cloud more than its share, which is 50."""
    draw = np.random.default_rng(0)
    tight = np.eye(1, 16) + 0.01 * draw.normal(size=(1500, 16))
    wide = draw.normal(size=(1500, 16))
    found = parts(np.vstack([tight, wide]).astype(np.float32), 100, 1000)
    assert (found.indices >= 1500).sum() > 65


def test_a_part_that_gives_all_it_was_asked_for_is_asked_for_more() -> None:
    """Copies of one row are nine tenths of all and worth one place: the other lists give more than their share."""
    copies = np.repeat(np.eye(1, 64, dtype=np.float32), 2700, axis=0)
    others = np.eye(64, dtype=np.float32)[np.random.default_rng(0).integers(1, 64, size=300)]
    found = parts(np.vstack([copies, others]), 100, 1000)
    kinds = np.vstack([copies, others])[found.indices].argmax(axis=1)
    assert set(kinds.tolist()) == set(others.argmax(axis=1).tolist()) | {0}


def test_parts_of_copies_and_a_budget_smaller_than_the_number_of_parts() -> None:
    features = clusters([3000, 2000, 1000])
    found = parts(features, 2, 1000)
    assert len(set(found.indices.tolist())) == 2
    assert parts(features, 2, 1000).indices.tolist() == found.indices.tolist()


PLENTY = 512 << 20


def test_auto_is_dense_up_to_3000_rows_and_then_by_time() -> None:
    strategies = Strategies("auto", 100, PLENTY)
    ways = [strategies.take(n, 512, n // 10) for n in (100, 3000, 3001, 5000, 10_000, 20_000, 268_435, 268_436)]
    assert ways == ["dense"] * 2 + ["sparse"] * 5 + ["partition"]
    for method in ("dense", "sparse", "partition", "naive"):
        assert {Strategies(method, 100, PLENTY).take(n, 512, n // 10) for n in (100, 5000, 20_000)} == {method}


def test_time_is_what_the_model_says() -> None:
    """By hand from the formulas in `strategies`: 4,000 rows compared with all, 10,000 with 2,048 and half a list."""
    n, d, b, k = 4000, 512, 400, 100
    dense = s.PRODUCT * n * n * d + s.ENTRY * n * n + s.EVALUATION * b * n + s.ROW * n
    sparse = s.PRODUCT * n * n * d + s.COMPARED * n * n + s.NEIGHBOUR * n * k + s.UPDATE * b * k
    assert s.nanoseconds("dense", n, d, b, k) == pytest.approx(dense)
    assert s.nanoseconds("sparse", n, d, b, k) == pytest.approx(sparse)
    n, m = 10_000, 2048 + 128
    in_lists = s.LIST_PRODUCT * n * m * d + s.COMPARED * n * m + s.NEIGHBOUR * n * k + s.UPDATE * b * k
    assert s.nanoseconds("sparse", n, d, b, k) == pytest.approx(in_lists)


def test_auto_is_dense_where_sparse_would_be_slower() -> None:
    """So many neighbours that sorting them out takes longer than to hold everything."""
    few, many = Strategies("auto", 100, PLENTY), Strategies("auto", 4500, PLENTY)
    assert (few.take(5000, 512, 500), many.take(5000, 512, 500)) == ("sparse", "dense")


def test_auto_is_dense_where_the_chosen_have_too_few_neighbours() -> None:
    strategies = Strategies("auto", 100, PLENTY)
    assert [strategies.take(5000, 512, budget) for budget in (99, 100)] == ["dense", "sparse"]
    features = mixture(3200, d=8)
    assert facility_location(features, 63).method == "dense"
    assert facility_location(features, 64).method == "sparse"


def test_auto_keeps_within_the_memory() -> None:
    strategies = Strategies("auto", 100, 20 * 100 * 5000)
    ways = [strategies.take(n, 512, 1) for n in (1581, 1582, 5000, 5001)]  # 4 x 1581 squared is within 10 million
    assert ways == ["dense", "sparse", "sparse", "partition"]
    assert Strategies("auto", 100, 1).take(1000, 512, 1) == "sparse"  # so few are never divided
    assert Strategies("auto", 100, PLENTY).take(11_585, 512, 1) == "dense"
    assert Strategies("auto", 100, PLENTY).take(11_586, 512, 1) == "sparse"


def test_a_note_names_the_ways_their_memory_and_what_they_guarantee() -> None:
    strategies = Strategies("auto", 100, PLENTY)
    assert strategies.note() == ""
    for n in (100, 1581, 5000):
        strategies.take(n, 512, n // 10)
    exact = "guarantees at least 63 % (1 - 1/e) of the best possible objective on any data"
    bounded = "guarantees no share of the best possible objective on all data; on these, objective / upper bound"
    dense = f"dense for 2 classes of up to 1,581 rows, about 10 MiB, {exact}"
    assert strategies.note() == f"{dense}; sparse for 5,000 rows, about 10 MiB, {bounded}"


def test_the_choice_names_the_way_and_its_memory() -> None:
    features = mixture(2000)
    assert facility_location(features, 50).notes[-1].startswith("dense for 2,000 rows, about 15 MiB, guarantees")
    found = facility_location(features, 50, neighbours=20, memory_budget_bytes=4 << 20)
    assert found.method == "sparse" and found.notes[-1].startswith("sparse for 2,000 rows, about 1 MiB, guarantees no")
    mixed = facility_location(features, 50, labels=[0] * 1900 + [1] * 100, neighbours=20, memory_budget_bytes=4 << 20)
    assert mixed.method == "dense, sparse"
    assert len(mixed.notes) == 1 + sum(note.startswith("class") for note in mixed.notes)


def test_the_order_of_many_rows_does_not_matter() -> None:
    features = mixture(9000)
    shuffle = np.random.default_rng(1).permutation(9000)
    for options in ({"method": "sparse"}, {"method": "partition", "memory_budget_bytes": 20 * 20 * 3000}):
        before = facility_location(features, 300, neighbours=20, **options)
        after = facility_location(features[shuffle], 300, neighbours=20, **options)
        same = set(shuffle[after.indices].tolist()) & set(before.indices.tolist())
        assert len(same) >= 297  # float32 products differ in the last bit with their place in a block
        assert after.objective == pytest.approx(before.objective, rel=1e-4)
