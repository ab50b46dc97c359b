"""The random subset: nested, the same in any order, and fair."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from augforge.algorithms.selection import Allocation, random_subset


def draw(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, size=n, dtype=np.uint64)


LABELS = ["a"] * 6 + ["b"] * 6 + ["c"] * 2 + ["d"] * 23


@pytest.mark.parametrize("allocation", ["proportional", "equal"])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_a_larger_budget_only_adds(labels: list[str] | None, allocation: Allocation) -> None:
    found = [
        set(random_subset(37, budget, labels=labels, allocation=allocation, keys=draw(37)).indices.tolist())
        for budget in range(39)
    ]
    assert [len(chosen) for chosen in found] == [*range(38), 37]
    assert all(fewer <= more for fewer, more in pairwise(found))


def test_order_does_not_matter() -> None:
    keys, order = draw(37), np.random.default_rng(1).permutation(37)
    before = random_subset(37, 11, labels=LABELS, keys=keys)
    after = random_subset(37, 11, labels=[LABELS[i] for i in order], keys=keys[order])
    assert order[after.indices].tolist() == before.indices.tolist()


def test_takes_the_smallest_keys_in_their_order() -> None:
    keys = np.array([5, 2**64 - 1, 0, 5, 3], dtype=np.uint64)
    chosen = random_subset(5, 4, keys=keys)
    assert chosen.indices.tolist() == [2, 4, 0, 3]
    assert chosen.weights.tolist() == [1] * 4
    assert chosen.gains.tolist() == [0] * 4 and chosen.objective == chosen.upper_bound == 0


def test_every_row_is_as_likely() -> None:
    taken = np.zeros(20)
    for seed in range(2000):
        taken[random_subset(20, 5, keys=draw(20, seed)).indices] += 1
    assert abs(taken - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_edges() -> None:
    assert len(random_subset(0, 3, keys=draw(0)).indices) == 0
    assert len(random_subset(4, 0, keys=draw(4)).indices) == 0
    with pytest.raises(ValueError, match=r"give uint64 of shape \(4,\)"):
        random_subset(4, 2, keys=draw(3))
    with pytest.raises(ValueError, match="keys are float64"):
        random_subset(4, 2, keys=np.zeros(4))  # type: ignore[arg-type]
