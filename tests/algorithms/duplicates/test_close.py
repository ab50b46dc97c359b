"""Near vectors by cells, beside comparing every two."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.duplicates.close import close_pairs
from augforge.algorithms.selection.by_rows import ArrayRows, Pool, pool_of
from tests.algorithms.selection.test_distributed import backwards, keys_of


def planted(n: int, copies: int, seed: int = 0) -> np.ndarray:
    """(n, 64) unit vectors around 20 directions, the last `copies` being the first ones, a little changed."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(20, 64))
    features = centres[draw.integers(20, size=n)] / 8 + draw.normal(size=(n, 64)) * 0.12
    features[-copies:] = features[:copies] + draw.normal(size=(copies, 64)) * 0.04
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def pool(features: np.ndarray, keys: np.ndarray | None = None) -> Pool:
    """All rows of an array."""
    keys = keys_of(len(features)) if keys is None else keys
    return pool_of(ArrayRows(features), np.arange(len(features)), "cosine", 64.0, keys)


def pairs_of(here: Pool, **options: object) -> set[tuple[int, int]]:
    """All pairs, once."""
    return {(i, j) for block in close_pairs(here, 0.9, **options) for i, j in block.tolist()}


def brute(features: np.ndarray) -> set[tuple[int, int]]:
    """All pairs, by comparing every two."""
    return {(i, j) for i, j in np.argwhere(features @ features.T >= 0.9).tolist() if i < j}


def test_with_all_cells_every_pair_is_found_and_no_other() -> None:
    features = planted(3000, 300)
    expected = brute(features)
    assert len(expected) >= 300
    assert pairs_of(pool(features), cells=12, most=3000) == expected


def test_few_cells_find_nearly_all_and_one_cell_misses_more() -> None:
    features = planted(12_000, 3000)
    expected = brute(features)
    found = {cells: len(pairs_of(pool(features), cells=cells) & expected) / len(expected) for cells in (1, 4)}
    assert found[4] >= 0.99
    assert found[1] < found[4]


def test_the_order_of_rows_and_of_units_changes_nothing() -> None:
    features, keys = planted(4000, 500), keys_of(4000)
    shuffle = np.random.default_rng(3).permutation(4000)
    other = pairs_of(pool(features[shuffle], keys[shuffle]), run=backwards)
    assert {tuple(sorted((int(shuffle[i]), int(shuffle[j])))) for i, j in other} == pairs_of(pool(features, keys))


@pytest.mark.parametrize("most", [1, 5])
def test_of_many_copies_each_tells_only_some(most: int) -> None:
    features = np.repeat(planted(100, 1)[:1], 600, axis=0)
    found = list(close_pairs(pool(features), 0.9, most=most))
    assert 0 < sum(map(len, found)) <= 600 * most
    assert len(np.unique(np.concatenate(found))) == 600


def test_one_vector_alone_and_none_near() -> None:
    assert pairs_of(pool(np.eye(1, 64, dtype=np.float32))) == set()
    assert pairs_of(pool(np.eye(64, dtype=np.float32))) == set()
