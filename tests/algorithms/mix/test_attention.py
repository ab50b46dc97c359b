"""TransMix: what equal attention, sharp attention and boxes smaller than a patch come to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.mix import area_share, attention_share, box_coverage

CORNERS = st.tuples(*[st.integers(0, 31)] * 4).map(
    lambda c: (min(c[0], c[1]), min(c[2], c[3]), max(c[0], c[1]) + 1, max(c[2], c[3]) + 1)
)


def nearest_share(attention, box, side):
    """The published rule: the box as a mask, resized to the patches by its nearest pixels."""
    mask = np.zeros((side, side))
    mask[box[1] : box[3], box[0] : box[2]] = 1
    rows = (np.arange(len(attention)) * side // len(attention)).astype(int)
    return float((attention * mask[np.ix_(rows, rows)]).sum() / attention.sum())


@given(CORNERS, st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_equal_attention_comes_to_exactly_the_area(box, grid):
    found = attention_share(np.full(grid, 0.37), box_coverage(box, (32, 32), grid))
    assert found == pytest.approx(area_share(box, (32, 32)), abs=1e-12)


def test_a_box_smaller_than_a_patch_counts_and_by_the_published_rule_does_not():
    box, attention = (9, 9, 13, 13), np.ones((4, 4))
    assert nearest_share(attention, box, 32) == 0.0
    assert attention_share(attention, box_coverage(box, (32, 32), (4, 4))) == pytest.approx(16 / 32**2)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**31))
def test_where_the_box_is_made_of_whole_patches_both_rules_agree(row, column, seed):
    attention = np.random.default_rng(seed).random((4, 4))
    box = (column * 8, row * 8, 32, 32)
    assert attention_share(attention, box_coverage(box, (32, 32), (4, 4))) == pytest.approx(
        nearest_share(attention, box, 32)
    )


def test_attention_on_one_patch_is_all_or_nothing():
    attention = np.zeros((4, 4))
    attention[1, 2] = 5.0
    assert attention_share(attention, box_coverage((16, 8, 24, 16), (32, 32), (4, 4))) == 1.0
    assert attention_share(attention, box_coverage((0, 8, 16, 16), (32, 32), (4, 4))) == 0.0
    assert attention_share(np.zeros((4, 4)), box_coverage((0, 0, 16, 32), (32, 32), (4, 4))) == 0.5


def test_a_box_that_reaches_beyond_what_is_seen_covers_no_more_than_all():
    assert (box_coverage((-8.0, -8.0, 99.0, 99.0), (32, 32), (3, 5)) == pytest.approx(np.ones((3, 5)))) is True
    assert box_coverage((40, 0, 50, 32), (32, 32), (2, 2)).sum() == 0
