"""How far maps of edges agree: closed forms, and the structural similarity of another library."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.metrics.edge_agreement import edge_f1, structural_similarity

SIDE = 24


def line(column: int, length: int = SIDE) -> np.ndarray:
    """(1, SIDE, SIDE) a line of so many cells down a column."""
    drawn = np.zeros((1, SIDE, SIDE))
    drawn[0, :length, column] = 1
    return drawn


def test_closed_forms() -> None:
    assert edge_f1(line(5), line(5)) == pytest.approx([1.0])
    assert edge_f1(line(5), line(6)) == pytest.approx([1.0])  # within a cell
    assert edge_f1(line(5), line(6), tolerance=0) == pytest.approx([0.0])  # the known wrong variant: no tolerance
    assert edge_f1(line(5), line(8)) == pytest.approx([0.0])
    half = line(5, SIDE // 2)
    precision, recall = 1.0, (SIDE // 2 + 1) / SIDE  # a cell more by the tolerance
    assert edge_f1(half, line(5)) == pytest.approx([2 * precision * recall / (precision + recall)])
    assert edge_f1(half, line(5)) == pytest.approx(edge_f1(line(5), half))
    assert edge_f1(np.zeros((1, 8, 8)), np.zeros((1, 8, 8))) == pytest.approx([0.0])
    assert edge_f1(line(3), 0 * line(3)) == pytest.approx([0.0])


def test_a_map_that_is_an_edge_everywhere_is_not_right() -> None:
    """Recall alone would call it perfect."""
    everywhere = np.ones((1, SIDE, SIDE))
    assert edge_f1(everywhere, line(5))[0] == pytest.approx(2 * 3 / (SIDE + 3))


@given(st.integers(0, 200), st.integers(1, 4))
def test_rows_are_apart_and_scores_lie_in_range(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    maps, others = random.random((2, count, 12, 12)) ** 3
    for score, least in ((edge_f1, 0.0), (structural_similarity, -1.0)):
        together = score(maps, others)
        alone = [score(maps[row : row + 1], others[row : row + 1])[0] for row in range(count)]
        assert together == pytest.approx(alone) and together == pytest.approx(score(others, maps))
        assert (together >= least - 1e-9).all() and (together <= 1 + 1e-9).all()
        assert score(maps, maps) == pytest.approx(np.ones(count))


def test_the_similarity_is_that_of_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    random = np.random.default_rng(1)
    one = random.random((20, 20))
    two = np.clip(one + random.normal(0, 0.2, one.shape), 0, 1)
    theirs = skimage.structural_similarity(one, two, win_size=7, data_range=1.0)
    assert structural_similarity(one[None], two[None]) == pytest.approx([theirs], abs=1e-9)
