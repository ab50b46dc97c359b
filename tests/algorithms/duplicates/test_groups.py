"""Groups against a plain union of sets."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.duplicates import NO_STRUCTURE, components, groups, groups_of, mirrored
from tests.algorithms.duplicates.test_pairs import brute, family


def slow_groups(edges: list[tuple[int, int]], ids: list[str]) -> list[str]:
    sets = [{row} for row in range(len(ids))]
    for i, j in edges:
        if sets[i] is not sets[j]:
            sets[i] |= sets[j]
            for row in sets[j]:
                sets[row] = sets[i]
    return [min(ids[row] for row in sets[i]) for i in range(len(ids))]


def names(n: int, seed: int = 0) -> list[str]:
    return [f"{name:04d}" for name in np.random.default_rng(seed).permutation(n)]


@pytest.mark.parametrize("flips", [False, True])
def test_what_hangs_together(flips: bool) -> None:
    for seed in range(4):
        hashes, ids = family(seed, 300), names(300, seed)
        edges = list(brute(hashes, hashes, 7, flips, same=True))
        found = groups_of(hashes, ids, 7, flips=flips)
        assert found == slow_groups(edges, ids)
        assert 1 < len(set(found)) < 300


def test_chains_hang_together_and_strangers_do_not() -> None:
    chain = np.array([(1 << 63) | ((1 << 4 * k) - 1) for k in range(8)], dtype=np.uint64)
    hashes = np.append(chain, np.uint64(0xF0F0F0F0F0F0F0F1))
    ids = list("ihgfedcba")
    assert groups_of(hashes, ids, 4, flips=False) == ["b"] * 8 + ["a"]
    assert groups_of(hashes, ids, 3, flips=False) == ids


def test_a_mirrored_copy_is_found_when_asked_for() -> None:
    hashes = family(5, 30)
    hashes = hashes[hashes != NO_STRUCTURE][:1]
    both = np.concatenate([hashes, mirrored(hashes)])
    assert groups_of(both, ["b", "a"]) == ["a", "a"]
    assert groups_of(both, ["b", "a"], flips=False) == ["b", "a"]


def test_pictures_without_structure_stay_alone() -> None:
    ids = names(50)
    assert groups_of(np.zeros(50, dtype=np.uint64), ids, 10) == ids


def test_order_does_not_matter_and_more_images_divide_nothing() -> None:
    hashes, ids = family(3, 300), names(300)
    before = dict(zip(ids, groups_of(hashes, ids), strict=True))
    order = np.random.default_rng(1).permutation(300)
    shuffled = [ids[i] for i in order]
    assert dict(zip(shuffled, groups_of(hashes[order], shuffled), strict=True)) == before
    fewer = dict(zip(ids[:200], groups_of(hashes[:200], ids[:200]), strict=True))
    for a in ids[:200]:
        assert before[a] == before[fewer[a]]


def test_components_of_many_blocks_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = np.random.default_rng(0).integers(0, 1000, (700, 2))
    whole = components(1000, [edges])
    monkeypatch.setattr(groups, "_HELD", 50)
    parts = components(1000, np.array_split(edges, 60))
    assert ((whole[:, None] == whole[None]) == (parts[:, None] == parts[None])).all()
    assert components(3, []).tolist() == [0, 1, 2]


def test_edges() -> None:
    assert groups_of(np.empty(0, dtype=np.uint64), []) == []
    with pytest.raises(ValueError, match="1 ids for 2 hashes"):
        groups_of(np.zeros(2, dtype=np.uint64), ["a"])
