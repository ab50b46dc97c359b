import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.rules import Rule, best_share, floor_of
from augforge.errors import RecipeError
from augforge.recipe import build_stage

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


def test_maximum_keeps_equality_and_goes_together_with_minimum():
    assert judge(Rule(maximum=0.5), [0.5, 0.51])[0].tolist() == [True, False]
    stays, reasons = judge(Rule(minimum=0.2, maximum=0.5), [0.1, 0.2, 0.5, 0.6, np.nan])
    assert stays.tolist() == [False, True, True, False, False]
    assert reasons.tolist() == ["under 0.2", None, None, "over 0.5", "it has no score"]


@given(SCORES, st.floats(0, 1), st.floats(-2, 2))
def test_where_less_is_better_a_rule_keeps_what_it_keeps_of_the_negative_scores(scores, share, deviations):
    negative = [-score for score in scores]
    for options in ({"keep": share}, {"deviations": deviations}):
        lower_is_better, mirrored = (
            judge(Rule(**options, lower_is_better=True), scores)[0],
            judge(Rule(**options), negative)[0],
        )
        assert lower_is_better.tolist() == mirrored.tolist()


def test_where_less_is_better_the_lowest_stay_and_the_reason_says_so():
    assert judge(Rule(keep=0.5, lower_is_better=True), [0.9, 0.1])[0].tolist() == [False, True]
    stays, reasons = judge(Rule(deviations=1.0, lower_is_better=True), [0.0] * 9 + [1.0])
    assert not stays[-1] and reasons[-1] == "over mean + 1 std of its class"


@given(SCORES, st.floats(-1, 1), st.floats(-1, 1))
def test_minimum_and_maximum_mean_the_same_where_less_is_better(scores, one, other):
    low, high = min(one, other), max(one, other)
    plain = judge(Rule(minimum=low, maximum=high), scores)[0]
    assert plain.tolist() == judge(Rule(minimum=low, maximum=high, lower_is_better=True), scores)[0].tolist()
    assert plain.tolist() == [low <= score <= high for score in scores]


def test_without_anything_all_that_was_measured_stays():
    assert judge(Rule(), [0.1, np.nan])[0].tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, Rule(keep=0.8)),
        ({"max": 0.5}, Rule(maximum=0.5)),
        ({"min": 0.1, "max": 0.5}, Rule(minimum=0.1, maximum=0.5)),
        ({"mean-minus-std": 2}, Rule(deviations=2)),
        ({"keep": 0}, Rule(keep=0)),
    ],
)
def test_options_become_a_rule(options, rule):
    assert build_stage("filter", "sharpness", options).rule() == rule


@pytest.mark.parametrize(
    "options",
    [
        {"keep": 0.5, "max": 1},
        {"min": 0, "mean-minus-std": 1},
        {"max": 0, "mean-minus-std": 1},
        {"keep": 1, "min": 0, "max": 1},
    ],
)
def test_one_rule_at_a_time(options):
    with pytest.raises(RecipeError, match="exclude each other"):
        build_stage("filter", "sharpness", options)


def test_a_minimum_over_the_maximum_is_refused():
    with pytest.raises(RecipeError, match="min is over max"):
        build_stage("filter", "sharpness", {"min": 1, "max": 0})


def test_the_bound_of_a_share_is_the_exact_quantile():
    """SemiUHPE's rule: under the value at place floor(r n); what it keeps of distinct scores is what a share keeps."""
    scores = np.random.default_rng(0).permutation(97) / 97
    for share in (0.1, 0.5, 0.75, 0.95):
        strict = scores < np.sort(scores)[int(share * 97 + 1e-9)]
        assert judge(Rule(keep=share, lower_is_better=True), scores.tolist())[0].tolist() == strict.tolist()
