"""Verdicts against going through all rows by rank, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from augforge.algorithms.duplicates import components, pair_file
from augforge.algorithms.duplicates.evidence import NOBODY, Once, copies_of, settle
from augforge.algorithms.duplicates.pair_file import PairFile

NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


def searching(pairs: np.ndarray, block: int = 7):
    """A search over known pairs, some of which come twice."""

    def search(rows: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(pairs), block):
            part = pairs[start : start + block]
            yield part[np.isin(part, rows).all(axis=1)]
        yield pairs[:3][np.isin(pairs[:3], rows).all(axis=1)]

    return search


def slow_stays(rank: np.ndarray, fixed: np.ndarray, pairs: np.ndarray) -> set[int]:
    near = {row: set() for row in range(len(rank))}
    for i, j in pairs.tolist():
        near[i].add(j)
        near[j].add(i)
    stays = set(np.flatnonzero(fixed).tolist())
    for row in np.argsort(rank).tolist():
        if row not in stays and not near[row] & stays:
            stays.add(row)
    return stays


def case(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    pairs = random.integers(0, n, (random.integers(20, 300), 2))
    return random.permutation(n), random.random(n) < 0.1, pairs[pairs[:, 0] != pairs[:, 1]]


@pytest.mark.parametrize("held", [1 << 24, 10])
def test_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(pair_file, "HELD", held)
    for seed in range(60):
        rank, fixed, pairs = case(seed)
        verdict = settle(rank, fixed, NO_PAIRS, searching(pairs))
        stays = set(np.flatnonzero(verdict.by == NOBODY).tolist())
        assert stays == slow_stays(rank, fixed, pairs)
        together = {(i, j) for i, j in pairs.tolist()} | {(j, i) for i, j in pairs.tolist()}
        for row in np.flatnonzero(verdict.by != NOBODY).tolist():
            assert (row, int(verdict.by[row])) in together and int(verdict.by[row]) in stays
        whole = components(len(rank), [pairs])
        assert ((whole[:, None] == whole) == (verdict.cluster[:, None] == verdict.cluster)).all()


@pytest.mark.parametrize("held", [1 << 24, 10])
def test_it_is_searched_once_and_what_is_gone_is_not_read_again(
    held: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pair_file, "HELD", held)
    pairs = np.stack([np.arange(49), np.arange(1, 50)], axis=1)
    asked: list[int] = []

    def search(rows: np.ndarray) -> Iterator[np.ndarray]:
        asked.append(len(rows))
        yield from searching(pairs)(rows)

    near = Once(search, 50, tmp_path)
    assert sum(map(len, near(np.arange(50)))) == 52  # three of them come twice
    for rows in (np.arange(30), np.arange(5, 30), np.arange(5, 9)):
        inside = pairs[np.isin(pairs, rows).all(axis=1)].tolist()
        found = [pair for block in near(rows) for pair in block.tolist()]
        assert {*map(tuple, found)} == {*map(tuple, inside)}
    assert asked == [50] and not list(tmp_path.iterdir())
    asked.clear()
    settle(np.arange(50)[::-1], np.zeros(50, dtype=bool), NO_PAIRS, search, tmp_path)
    assert asked == [50]


def test_pairs_in_a_file_are_those_that_were_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pair_file, "HELD", 7)
    kept, added = PairFile(np.int32, tmp_path), np.arange(200).reshape(-1, 2)
    for start in range(0, 100, 9):
        kept.add(added[start : start + 9])
    for _ in range(2):
        assert np.concatenate(list(kept)).tolist() == added.tolist()
        assert max(map(len, kept)) <= 9


def test_the_middle_of_a_chain_goes_and_both_ends_stay() -> None:
    pairs = np.array([[0, 1], [1, 2]])
    verdict = settle(np.arange(3), np.zeros(3, dtype=bool), NO_PAIRS, searching(pairs))
    assert verdict.by.tolist() == [NOBODY, 0, NOBODY]  # one kept per cluster would lose the far end
    assert len(set(verdict.cluster.tolist())) == 1


def test_a_long_chain_of_falling_ranks() -> None:
    pairs = np.stack([np.arange(49), np.arange(1, 50)], axis=1)
    verdict = settle(np.arange(50)[::-1], np.zeros(50, dtype=bool), NO_PAIRS, searching(pairs))
    assert np.flatnonzero(verdict.by == NOBODY).tolist() == list(range(1, 50, 2))


def test_a_copy_goes_for_what_its_twin_goes_for() -> None:
    verdict = settle(np.array([1, 2, 0]), np.zeros(3, dtype=bool), np.array([[0, 1]]), searching(np.array([[0, 2]])))
    assert verdict.by.tolist() == [2, 2, NOBODY] and len(set(verdict.cluster.tolist())) == 1


def test_fixed_rows_stay_whatever_their_rank() -> None:
    fixed = np.array([False, True, True])
    verdict = settle(np.arange(3), fixed, np.array([[1, 2]]), searching(np.array([[0, 2]])))
    assert verdict.by.tolist() == [2, NOBODY, NOBODY]


def test_copies_go_with_the_lowest_rank() -> None:
    pairs = copies_of(np.array([5, 3, 5, 5, 4]), np.array([4, 0, 1, 2, 3]))
    assert sorted(pairs.tolist()) == [[2, 0], [2, 3]]
    assert copies_of(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).shape == (0, 2)
