"""The nearest to a reference set against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.selection import similar
from augforge.algorithms.selection.similar import closeness, most_similar

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def unit(seed: int, n: int, d: int = 5) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def at(*degrees: float) -> np.ndarray:
    turned = np.radians(degrees)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1)


def chosen(near: np.ndarray, budget: int, **given) -> list[int]:
    return most_similar(near, budget, **given).indices.tolist()


def test_known_answers_on_a_circle() -> None:
    pool, references = at(10, 50, 80, 200), np.stack([EAST, NORTH])
    cosines = np.cos(np.radians([10, 40, 10, 110]))
    assert closeness(pool, references, "max")[:, 1] == pytest.approx(cosines, abs=1e-6)
    mean = np.cos(np.radians([10, 50, 80, 200])) / 2 + np.sin(np.radians([10, 50, 80, 200])) / 2
    assert closeness(pool, references, "mean")[:, 1] == pytest.approx(mean, abs=1e-6)
    assert chosen(closeness(pool, references, "max"), 2) == [0, 2]  # 10 degrees both: the lower row first
    assert chosen(closeness(pool, references, "mean"), 1) == [1]  # between both: not the nearest to any


def test_with_turns_every_reference_is_served_and_by_max_only_the_one_in_a_crowd() -> None:
    pool, references = at(1, 2, 3, 4, 70, 60), np.stack([EAST, NORTH])
    assert chosen(closeness(pool, references, "max"), 3) == [0, 1, 2]
    assert chosen(closeness(pool, references, "turns"), 3) == [0, 4, 1]
    assert chosen(closeness(pool, references[::-1], "turns"), 3) == [4, 0, 5]


@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 8))
def test_turns_are_a_prefix_of_taking_the_nearest_that_is_left(seed: int, m: int, budget: int) -> None:
    pool, references = unit(seed, 8), unit(seed + 100, m)
    left, taken = list(range(8)), []
    for turn in range(budget):
        best = max(left, key=lambda row: (round(float(pool[row] @ references[turn % m]), 6), -row))
        left.remove(best)
        taken.append(best)
    selection = most_similar(closeness(pool, references, "turns"), budget)
    assert selection.indices.tolist() == taken
    gains = [pool[row] @ references[turn % m] for turn, row in enumerate(taken)]
    assert selection.gains == pytest.approx(gains, abs=1e-5)
    assert selection.objective == pytest.approx(sum(gains), abs=1e-4) and selection.objective <= selection.upper_bound


@given(st.integers(0, 40), st.sampled_from(["max", "mean"]), st.integers(0, 30))
def test_it_is_the_largest_of_each_class_by_brute_force(seed: int, by: str, budget: int) -> None:
    pool, references = unit(seed, 30), unit(seed + 100, 6)
    labels = np.random.default_rng(seed).integers(0, 3, 30)
    score = np.round((pool @ references.T).max(axis=1) if by == "max" else (pool @ references.T).mean(axis=1), 5)
    selection = most_similar(closeness(pool, references, by), budget, labels=labels, allocation="equal")
    assert len(selection.indices) == budget
    for label in range(3):
        mine = [row for row in selection.indices.tolist() if labels[row] == label]
        others = [row for row in np.flatnonzero(labels == label) if row not in mine]
        assert not mine or not others or min(score[mine]) >= max(score[others]) - 2e-5
    assert selection.objective == pytest.approx(selection.upper_bound)


@pytest.mark.parametrize("by", ["max", "mean", "turns"])
def test_copies_tie_and_go_by_row(by: str) -> None:
    pool = np.repeat(unit(3, 4), 5, axis=0)[np.random.default_rng(0).permutation(20)]
    near = closeness(pool.astype(np.float32), unit(4, 3).astype(np.float32), by)
    assert len(np.unique(near[:, 1])) <= 4 * (3 if by == "turns" else 1)
    if by != "turns":
        order = chosen(near, 20)
        assert order == sorted(range(20), key=lambda row: (-near[row, 0], row))


@pytest.mark.parametrize("by", ["max", "mean", "turns"])
def test_a_row_is_no_reference_of_itself(by: str) -> None:
    pool = at(0, 30, 180)
    near = closeness(pool, pool, by, np.arange(3))
    best = np.cos(np.radians([30, 30, 150]))
    if by == "max":
        assert near[:, 1] == pytest.approx(best, abs=1e-6)
    if by == "mean":
        mean = [
            np.cos(np.radians([30, 180])).mean(),
            np.cos(np.radians([30, 150])).mean(),
            np.cos(np.radians([180, 150])).mean(),
        ]
        assert near[:, 1] == pytest.approx(mean, abs=1e-6)
    assert near[:, 1].max() < 0.9  # with itself it would be 1
    alone = closeness(pool[:1], pool[:1], by, np.zeros(1, dtype=np.int64))
    assert alone[:, 1].tolist() == [similar.NOTHING]


@pytest.mark.parametrize("by", ["max", "mean"])
def test_blocks_do_not_matter(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, itself = unit(5, 23), np.where(np.arange(23) < 4, np.arange(23), -1)
    whole = closeness(pool, unit(6, 4), by, itself)
    monkeypatch.setattr(similar, "ROWS", 5)
    assert closeness(pool, unit(6, 4), by, itself).tolist() == whole.tolist()


def test_without_references_nothing_is_near() -> None:
    with pytest.raises(ValueError, match="no references"):
        closeness(unit(0, 3), unit(0, 0), "max")
