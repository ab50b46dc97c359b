import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.rules import Rule, best_share, floor_of

SCORES = st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=40)


def judge(rule, scores, groups=None):
    ids = [f"{i:03d}" for i in range(len(scores))]
    numbers = np.array(groups or [0] * len(scores))
    return rule.apply(np.array(scores, dtype=float), ids, numbers, "its class")


@given(SCORES, st.floats(0, 1))
def test_a_share_keeps_floor_of_r_n_and_at_least_one(scores, share):
    stays, _ = judge(Rule(keep=share), scores)
    expected = int(share * len(scores) + 1e-9)
    assert stays.sum() == (max(1, expected) if share > 0 else 0)
    if stays.any() and not stays.all():
        assert min(np.array(scores)[stays]) >= max(np.array(scores)[~stays])


@pytest.mark.parametrize(("share", "n", "kept"), [(0.29, 100, 29), (0.8, 5, 4), (0.7, 10, 7), (1.0, 3, 3), (0.0, 3, 0)])
def test_shares_are_not_lost_to_rounding(share, n, kept):
    assert int(share * n) == kept or share == 0.29  # the naive form loses one of 0.29 * 100
    assert best_share(np.arange(n, dtype=float), [str(i) for i in range(n)], share).sum() == kept


def test_ties_go_to_the_lowest_id_whatever_the_order():
    stays, _ = judge(Rule(keep=0.5), [1.0, 1.0, 1.0, 1.0])
    assert stays.tolist() == [True, True, False, False]
    shuffled = best_share(np.ones(4), ["003", "001", "000", "002"], 0.5)
    assert shuffled.tolist() == [False, True, True, False]


def test_a_rule_within_classes_is_not_a_rule_over_all():
    scores, groups = [0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]
    assert judge(Rule(keep=0.5), scores, groups)[0].tolist() == [True, False, True, False]
    assert judge(Rule(keep=0.5), scores)[0].tolist() == [True, True, False, False]


def test_minimum_keeps_equality():
    assert judge(Rule(minimum=0.5), [0.5, 0.49])[0].tolist() == [True, False]


def test_mean_minus_std_keeps_constant_scores_and_lone_items():
    assert judge(Rule(deviations=0.0), [0.3] * 5)[0].all()
    assert judge(Rule(deviations=1.0), [0.3])[0].all()


def test_mean_minus_one_std_of_gaussian_scores_keeps_about_84_percent():
    scores = np.random.default_rng(0).normal(size=20_000)
    assert abs((scores >= floor_of(scores, 1.0)).mean() - 0.8413) < 0.01
    assert abs((scores >= floor_of(scores, -1.0)).mean() - 0.1587) < 0.01  # the published "above mean + std"


def test_what_could_not_be_measured_goes_and_does_not_count():
    stays, reasons = judge(Rule(keep=0.5), [0.9, np.nan, 0.1])
    assert stays.tolist() == [True, False, False]
    assert reasons[1] == "it has no score" and "best 50 %" in reasons[2]


@given(SCORES)
def test_a_tighter_share_only_drops(scores):
    loose, tight = judge(Rule(keep=0.8), scores)[0], judge(Rule(keep=0.4), scores)[0]
    assert not (tight & ~loose).any()
