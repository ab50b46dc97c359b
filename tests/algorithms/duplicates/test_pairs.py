"""Near pairs against comparing every two."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from augforge.algorithms.duplicates import NO_STRUCTURE, against, mirrored, near_pairs, pair_blocks, pairs
from tests.algorithms.duplicates.pictures import apart

Found = dict[tuple[int, int], int]


def family(seed: int, n: int) -> NDArray[np.uint64]:
    """(n,) hashes in which copies of few differ in up to 14 bits, some mirrored, some equal, some without structure."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, max(1, n // 6), dtype=np.uint64)[random.integers(0, max(1, n // 6), n)]
    for row in range(n):
        for bit in random.choice(64, random.integers(0, 15), replace=False):
            hashes[row] ^= np.uint64(1 << int(bit))
    hashes = np.where(random.random(n) < 0.2, mirrored(hashes), hashes)
    hashes[random.random(n) < 0.05] = NO_STRUCTURE
    hashes[: n // 20] = hashes[n // 2 : n // 2 + n // 20]
    return hashes


def brute(left: NDArray[np.uint64], right: NDArray[np.uint64], distance: int, flips: bool, same: bool) -> Found:
    gaps = apart(left[:, None], right[None])
    if flips:
        gaps = np.minimum(gaps, apart(mirrored(left)[:, None], right[None]))
    near = (gaps <= distance) & (left != NO_STRUCTURE)[:, None] & (right != NO_STRUCTURE)[None]
    return {(i, j): int(gaps[i, j]) for i, j in np.argwhere(near).tolist() if i < j or not same}


@pytest.fixture(params=["bands", "tables"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to search, whatever would be the faster."""
    monkeypatch.setattr(pairs, "_cost_of_tables", lambda *_: np.inf if request.param == "bands" else -1)
    return request.param


@pytest.fixture
def by_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_cost_of_tables", lambda *_: np.inf)


def as_found(block: pairs.Block) -> Found:
    found = {(i, j): d for (i, j), d in zip(block[0].tolist(), block[1].tolist(), strict=True)}
    assert len(found) == len(block[0]) and list(found) == sorted(found)
    return found


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("distance", [0, 1, 2, 5, 8, 10, 20])
def test_all_pairs_and_no_others(way: str, distance: int, flips: bool) -> None:
    for seed in range(3):
        hashes, others = family(seed, 250), family(seed + 100, 90)
        others[:60] = hashes[:60]
        expected = brute(hashes, hashes, distance, flips, same=True)
        assert expected and as_found(near_pairs(hashes, distance, flips=flips)) == expected
        expected = brute(hashes, others, distance, flips, same=False)
        assert expected and as_found(against(hashes, others, distance, flips=flips)) == expected


@pytest.mark.usefixtures("by_bands")
@pytest.mark.parametrize("count", range(3, 17))
def test_every_way_to_cut_the_bits_finds_all(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = family(count, 120)
    for distance in (3, 6):
        bands = pairs._cut(distance, count)
        monkeypatch.setattr(pairs, "_bands", lambda *_, bands=bands: bands)
        for flips in (False, True):
            found = as_found(near_pairs(hashes, distance, flips=flips))
            assert found == brute(hashes, hashes, distance, flips, same=True)


@pytest.mark.usefixtures("by_bands")
def test_radii_that_sum_to_one_less_would_miss_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    for distance, count in ((3, 3), (6, 4), (10, 3), (8, 16)):
        short = pairs._cut(distance - 1, count)
        gap = sum(((1 << band.radius + 1) - 1) << band.shift for band in short)  # just beyond each radius
        hashes = np.array([2**63 - 5, (2**63 - 5) ^ gap], dtype=np.uint64)
        assert near_pairs(hashes, distance)[1].tolist() == [distance]
        with monkeypatch.context() as patched:
            patched.setattr(pairs, "_bands", lambda *_, bands=short: bands)
            assert len(near_pairs(hashes, distance)[0]) == 0


def test_the_bands_are_a_pigeonhole() -> None:
    for distance in range(33):
        for count in range(3, 17):
            bands = pairs._cut(distance, count)
            assert sum(band.radius + 1 for band in bands) == distance + 1
            covered = sum(((1 << band.bits) - 1) << band.shift for band in bands)
            assert covered == 2**64 - 1 or distance + 1 < count
    band = pairs.Band(shift=3, bits=9, radius=3)
    assert sorted(band.masks()) == [mask for mask in range(512) if mask.bit_count() <= 3]


def test_blocks_are_bounded_and_progress_is_told(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_CANDIDATES", 500)
    hashes = family(1, 400)
    hashes[:100] = hashes[-1] = 12345
    told: list[float] = []
    blocks = list(pair_blocks(hashes, 4, flips=True, tell=told.append))
    assert max(len(block) for block, _ in blocks) <= 500
    assert told == sorted(told) and told[-1] == 1 and len(told) > 2
    assert as_found(pairs._joined(blocks)) == brute(hashes, hashes, 4, True, same=True)


def test_many_hashes_of_few_bits_are_all_found(way: str) -> None:
    """All within a few bits of each other, many equal: every key and every band is shared by most."""
    random = np.random.default_rng(5)
    hashes = np.full(300, 2**63 + 12345, dtype=np.uint64) ^ random.integers(0, 2**12, 300, dtype=np.uint64)
    for flips in (False, True):
        assert as_found(near_pairs(hashes, 5, flips=flips)) == brute(hashes, hashes, 5, flips, same=True)
    assert as_found(against(hashes, hashes[:50], 5)) == brute(hashes, hashes[:50], 5, False, same=False)


def test_tables_are_for_many_hashes_and_few_bits() -> None:
    def tables(distance: int, count: int) -> bool:
        return pairs._cost_of_tables(distance, count) < pairs._cost(pairs._bands(distance, count, count), count, count)

    assert tables(2, 10**6) and tables(8, 10**6) and tables(8, 10**7) and not tables(9, 2000)


def test_order_does_not_matter(way: str) -> None:
    hashes = family(2, 200)
    order = np.random.default_rng(0).permutation(200)
    found = as_found(near_pairs(hashes[order], 8, flips=True))
    turned = {tuple(sorted((int(order[i]), int(order[j])))): d for (i, j), d in found.items()}
    assert turned == as_found(near_pairs(hashes, 8, flips=True))


def test_edges(way: str) -> None:
    none = np.empty(0, dtype=np.uint64)
    assert near_pairs(none)[0].shape == against(none, family(0, 5))[0].shape == (0, 2)
    assert len(near_pairs(np.zeros(9, dtype=np.uint64))[0]) == 0
    with pytest.raises(ValueError, match="give 0 to 32 bits"):
        near_pairs(family(0, 5), 33)
    with pytest.raises(ValueError, match=r"hashes are int64"):
        near_pairs(np.zeros(3, dtype=np.int64))  # type: ignore[arg-type]
