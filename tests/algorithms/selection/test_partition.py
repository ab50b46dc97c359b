"""Which way is taken for how many rows, and the way through parts."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.selection import Similarity, facility_location
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


def test_auto_takes_the_first_that_fits() -> None:
    strategies = Strategies("auto", 100, 20 * 100 * 5000)
    assert [strategies.take(n) for n in (100, 1581, 1582, 5000, 5001)] == [
        "dense",
        "dense",
        "sparse",
        "sparse",
        "partition",
    ]
    note = "dense for 2 classes of up to 1,581 rows, about 10 MiB; partition for 5,001 rows, about 10 MiB; "
    assert strategies.note() == note + "sparse for 2 classes of up to 5,000 rows, about 10 MiB"
    assert Strategies("auto", 100, 1).take(1000) == "sparse"  # so few are never divided
    assert Strategies("auto", 100, 512 << 20).take(11_585) == "dense"
    assert Strategies("auto", 100, 512 << 20).take(200_000) == "sparse"
    assert Strategies("auto", 100, 512 << 20).take(1_000_000) == "partition"
    assert Strategies("auto", 1, 1).note() == ""


def test_the_choice_names_the_way_and_its_memory() -> None:
    features = mixture(2000)
    assert facility_location(features, 50).notes[-1] == "dense for 2,000 rows, about 15 MiB"
    found = facility_location(features, 50, neighbours=20, memory_budget_bytes=4 << 20)
    assert found.method == "sparse" and found.notes[-1] == "sparse for 2,000 rows, about 1 MiB"
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
