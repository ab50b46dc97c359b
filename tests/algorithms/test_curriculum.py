"""The schedule is the published one, never falls and never passes 1; a later epoch uses all that an earlier one did."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.curriculum import share_at, within


def test_the_share_is_the_published_formula_cut_at_1() -> None:
    assert share_at(0) == pytest.approx(0.01) and share_at(40) == pytest.approx(math.tanh(1) + 0.01)
    shares = [share_at(epoch) for epoch in range(300)]
    assert shares == sorted(shares) and max(shares) == 1
    assert next(epoch for epoch, share in enumerate(shares) if share == 1) == 106
    assert math.tanh(106 / 40) + 0.01 > 1  # the known wrong variant: not cut


@given(st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_uses_all_that_a_smaller_one_does(values: list[float], one: float, other: float) -> None:
    difficulty = np.array(values, dtype=np.float64)
    few, many = (set(within(difficulty, share).tolist()) for share in sorted((one, other)))
    assert few <= many
    plain = set(np.flatnonzero(np.isnan(difficulty)).tolist())
    assert plain <= few
    used, unused = difficulty[sorted(few - plain)], difficulty[sorted(set(range(len(values))) - few)]
    assert not len(used) or not len(unused) or used.max() <= unused.min()


def test_ends_and_halves() -> None:
    difficulty = np.array([0.9, math.nan, 0.1, 0.5, 0.1])
    assert within(difficulty, 0).tolist() == [1] and within(difficulty, 1).tolist() == [0, 1, 2, 3, 4]
    assert within(difficulty, 0.5).tolist() == [1, 2, 4]
    assert within(difficulty, 0.25).tolist() == [1, 2]
