"""Cuts against counting what each keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.cuts import best, between, curve

REVIEWED = st.lists(st.tuples(st.integers(0, 12).map(lambda i: i / 8), st.booleans()), min_size=1, max_size=20)


def arrays(reviewed):
    return np.array([score for score, _ in reviewed]), np.array([good for _, good in reviewed])


@given(REVIEWED, st.booleans())
def test_every_cut_keeps_what_it_says(reviewed, lower):
    scores, good = arrays(reviewed)
    cuts = curve(scores, good, lower)
    assert len(cuts) == len(set(scores.tolist())) and cuts[-1].kept == len(scores)
    for cut in cuts:
        stays = scores <= cut.at if lower else scores >= cut.at
        assert (cut.kept, cut.right, cut.good) == (stays.sum(), (stays & good).sum(), good.sum())


@given(REVIEWED)
def test_the_best_cut_is_the_best_of_all_thresholds(reviewed):
    scores, good = arrays(reviewed)
    tried = {at: (scores >= at) for at in np.arange(-0.1, 1.7, 1 / 16)}

    def f1(stays):
        both = (stays & good).sum()
        return 2 * both / (stays.sum() + good.sum()) if both else 0.0

    found = best(curve(scores, good))
    assert found.f1 == pytest.approx(max(map(f1, tried.values())))
    assert found.kept == max(stays.sum() for stays in tried.values() if f1(stays) == pytest.approx(found.f1))
    for precision in (0.5, 0.8, 1.0):
        recalls = [(s & good).sum() for s in tried.values() if s.any() and (s & good).sum() / s.sum() >= precision]
        cut = best(curve(scores, good), precision)
        assert (cut is None) == (not recalls)
        if cut is not None:
            assert cut.right == max(recalls) and cut.precision >= precision


def test_a_known_curve():
    """Scores 0.9 (good), 0.8 (bad), 0.7 (good), 0.2 (bad): F1 is 2/3, 1/2, 4/5, 2/3."""
    cuts = curve(np.array([0.2, 0.7, 0.9, 0.8]), np.array([False, True, True, False]))
    assert [cut.f1 for cut in cuts] == pytest.approx([2 / 3, 1 / 2, 4 / 5, 2 / 3])
    assert [cut.precision for cut in cuts] == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert best(cuts).at == pytest.approx(0.45, abs=0.06) and best(cuts, 1.0).at == pytest.approx(0.85, abs=0.02)
    assert best(cuts, 1.0).recall == 0.5 and best([]) is None


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_number_between_is_between_and_short(one, other):
    found = between(one, other)
    assert found == one if one == other else min(one, other) <= found <= max(one, other) and found != other


@pytest.mark.parametrize(("kept", "gone", "short"), [(0.7, 0.2, 0.4), (0.24, 0.22, 0.23), (3.0, 9.0, 6.0), (-1, 1, 0)])
def test_halfway_in_few_digits(kept, gone, short):
    assert between(kept, gone) == pytest.approx(short, abs=0.01 * abs(kept - gone))
    assert len(f"{between(kept, gone):g}") <= 5
