"""Intervals of proportions against their definitions, and the numbers that they ask for against trying them all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from augforge.algorithms.proportions import NORMAL, clopper_pearson, needed, wilson

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_the_ends_of_wilson_are_where_the_score_test_just_rejects(counts):
    successes, n = counts
    for end in wilson(successes, n):
        if 0 < end < 1:
            assert abs(successes / n - end) == pytest.approx(NORMAL * math.sqrt(end * (1 - end) / n), abs=1e-9)


@given(COUNTS)
def test_the_ends_of_clopper_and_pearson_have_tails_of_two_and_a_half_percent(counts):
    successes, n = counts
    low, high = clopper_pearson(successes, n)
    assert low == 0 if successes == 0 else binom.sf(successes - 1, n, low) == pytest.approx(0.025)
    assert high == 1 if successes == n else binom.cdf(successes, n, high) == pytest.approx(0.025)


def test_closed_forms():
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert wilson(0, 20) == (0.0, pytest.approx(NORMAL**2 / (20 + NORMAL**2)))
    assert wilson(0, 0) == clopper_pearson(0, 0) == (0.0, 1.0)
    assert needed(1.0, 0.02) == math.ceil(NORMAL**2 / 0.04 - NORMAL**2)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_clopper_and_pearson_cover_and_the_normal_interval_does_not(share):
    """Coverage over all outcomes of 40; the textbook interval p +- 1.96 se is the known wrong one at the ends."""
    n = 40
    weights = binom.pmf(range(n + 1), n, share)
    exact = sum(w for k, w in enumerate(weights) if clopper_pearson(k, n)[0] <= share <= clopper_pearson(k, n)[1])
    half = [NORMAL * math.sqrt(k / n * (1 - k / n) / n) for k in range(n + 1)]
    naive = sum(w for k, w in enumerate(weights) if abs(k / n - share) <= half[k])
    assert exact >= 0.95
    assert share == 0.3 or naive < 0.92


@settings(max_examples=60)
@given(st.integers(0, 20), st.integers(1, 20).map(lambda i: i / 100))
def test_so_many_are_needed_and_no_fewer(twentieths, half):
    share = twentieths / 20

    def wide(n: int) -> float:
        """Half the width of Wilson's interval, from its two ends: the roots of a quadratic equation in p."""
        a, b, c = 1 + NORMAL**2 / n, -(2 * share + NORMAL**2 / n), share**2
        return math.sqrt(b * b - 4 * a * c) / (2 * a)

    found = needed(share, half)
    brute = next(n for n in range(1, 200_000) if wide(n) <= half + 1e-12)
    assert found == brute
