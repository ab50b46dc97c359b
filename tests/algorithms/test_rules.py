import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.rules import LEAST, ROBUST_STD, STEP, Rule, best_share, floor_of, outlying, rescaled
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
        ({}, Rule(outliers=3.5)),
        ({"outliers": 5}, Rule(outliers=5)),
        ({"max": 0.5}, Rule(maximum=0.5)),
        ({"min": 0.1, "max": 0.5}, Rule(minimum=0.1, maximum=0.5)),
        ({"mean-minus-std": 2}, Rule(deviations=2)),
        ({"keep": 0}, Rule(keep=0)),
    ],
)
def test_options_become_a_rule(options, rule):
    assert build_stage("filter", "prototype", options).rule() == rule


@pytest.mark.parametrize(
    "options",
    [
        {"keep": 0.5, "max": 1},
        {"min": 0, "mean-minus-std": 1},
        {"max": 0, "mean-minus-std": 1},
        {"keep": 1, "min": 0, "max": 1},
        {"outliers": 3, "keep": 1},
        {"outliers": 3, "min": 0},
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


WHOLE = st.lists(st.integers(-1000, 1000), min_size=LEAST, max_size=60)


def test_an_outlier_is_so_many_median_absolute_deviations_under_the_median():
    """Known answer: of 0..40 the median is 20, and the median deviation of the lower half, 20..0, is 10."""
    scores = np.arange(41.0)
    bar = 20 - 3.5 * ROBUST_STD * 10
    assert outlying(np.array([bar - 1e-9, bar, -1e9, 1e9]), scores, 3.5).tolist() == [True, False, True, False]
    third_quartile = 0.6744897501960817  # of the normal distribution
    assert pytest.approx(1 / third_quartile, abs=2e-4) == ROBUST_STD


def test_a_long_bad_tail_widens_the_bar():
    """Exponential quantiles, turned over. The deviation over both sides, the wrong variant here, drops 4 % of them."""
    scores = np.log((np.arange(1000) + 0.5) / 1000)
    two_sided = ROBUST_STD * np.median(np.abs(scores - np.median(scores)))
    assert (np.median(scores) - scores > 3.5 * two_sided).mean() == pytest.approx(0.041, abs=0.002)
    dropped = ~judge(Rule(outliers=3.5), scores.tolist())[0]
    assert dropped.mean() == pytest.approx(np.exp(-np.log(2) * (1 + 3.5 * ROBUST_STD)), abs=1e-3)


@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_nothing_goes_where_nothing_stands_out(n):
    """Quantiles of samples with one mode: uniform, normal, triangular, and one with a long good tail."""
    from scipy import stats

    quantiles = (np.arange(n) + 0.5) / n
    for sample in (stats.uniform, stats.norm, stats.triang(0.5), stats.expon):
        assert judge(Rule(outliers=3.5), sample.ppf(quantiles).tolist())[0].all()
    fifth = judge(Rule(keep=0.8), stats.norm.ppf(quantiles).tolist())[0]
    assert (~fifth).sum() == n // 5  # what a fixed share throws away


def test_what_stands_out_goes_and_nothing_else():
    usual = np.random.default_rng(0).uniform(0.7, 0.9, 200)
    stays = judge(Rule(outliers=3.5), [*usual.tolist(), *[0.1] * 10])[0]
    assert stays[:200].all() and not stays[200:].any()


@given(WHOLE, st.integers(-1000, 1000), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_a_constant_or_a_factor_does_not_change_who_is_an_outlier(scores, constant, factor):
    plain = judge(Rule(outliers=2.0), scores)[0]
    assert plain.tolist() == judge(Rule(outliers=2.0), [factor * (score + constant) for score in scores])[0].tolist()


@given(WHOLE, st.floats(0.1, 5), st.floats(0.1, 5))
def test_a_higher_bar_for_outliers_only_keeps(scores, one, other):
    few, many = judge(Rule(outliers=max(one, other)), scores)[0], judge(Rule(outliers=min(one, other)), scores)[0]
    assert not (many & ~few).any()
    assert judge(Rule(outliers=one), scores)[0].sum() >= len(scores) / 2  # never the median or what is over it


def test_a_small_class_has_the_bar_of_all_and_a_small_set_has_none():
    scores = [*np.linspace(0.5, 1.0, 40).tolist(), *[0.9] * 4, -3.0]
    groups = [0] * 40 + [1] * 5
    assert np.flatnonzero(~judge(Rule(outliers=3.5), scores, groups)[0]).tolist() == [44]
    assert judge(Rule(outliers=3.5), scores[-(LEAST - 1) :])[0].all()
    alone = judge(Rule(outliers=3.5), [0.9] * 10 + [0.8] * 10 + [0.0], [0] * 21)[0]
    assert alone.tolist() == [True] * 21  # over half of the lower half are equal: nothing stands out


def test_each_class_has_its_own_bar():
    low, high = np.linspace(0.0, 0.1, 30).tolist(), np.linspace(0.8, 0.9, 30).tolist()
    groups = [0] * 30 + [1] * 31
    assert np.flatnonzero(~judge(Rule(outliers=3.5), [*low, *high, 0.3], groups)[0]).tolist() == [60]
    assert judge(Rule(outliers=3.5), [*low, *high, 0.3])[0].all()


def test_where_less_is_better_outliers_are_high():
    scores = [*np.linspace(0, 1, 40).tolist(), -9.0, 9.0]
    stays, reasons = judge(Rule(outliers=3.5, lower_is_better=True), scores)
    assert np.flatnonzero(~stays).tolist() == [41]
    assert reasons[41] == "more than 3.5 robust std above the median of its class"


def test_on_a_logarithmic_scale_factors_count():
    scores = np.geomspace(100, 10_000, 60)
    assert judge(Rule(outliers=3.5), [*scores.tolist(), 1.0])[0].all()
    assert not judge(Rule(outliers=3.5, scale="log"), [*scores.tolist(), 1.0])[0][-1]
    assert not judge(Rule(outliers=3.5, scale="log"), [*scores.tolist(), 0.0])[0][-1]


def test_log_odds():
    assert rescaled(np.array([0.5, 0.75]), "logit") == pytest.approx([0, np.log(3)])
    assert np.isfinite(rescaled(np.array([0.0, 1.0]), "logit")).all()
    assert rescaled(np.array([1.0, np.e]), "log") == pytest.approx([0, 1])


def test_a_rule_is_fixed_if_the_others_do_not_matter():
    assert Rule(minimum=0.1).is_fixed and Rule(keep=1.0).is_fixed and Rule().is_fixed
    assert not any(rule.is_fixed for rule in (Rule(keep=0.9), Rule(deviations=1.0), Rule(outliers=3.5)))


@pytest.mark.parametrize("rule", [{"keep": 0.5}, {"minimum": 0.3}, {"maximum": 0.7}, {"deviations": 1.0}])
def test_the_low_bits_of_another_machine_flip_nothing(rule):
    """Scores here, and as another machine has them; without steps (the wrong variant) some verdicts differ."""
    rng = np.random.default_rng(0)
    here = rng.choice([0.3, 0.45, 0.5, 0.7], 400)
    there = here + rng.uniform(-1, 1, 400) * 1e-7
    kept = [judge(Rule(**rule, step=STEP), scores)[0] for scores in (here, there)]
    assert kept[0].tolist() == kept[1].tolist()
    if "deviations" not in rule:
        assert judge(Rule(**rule), here)[0].tolist() != judge(Rule(**rule), there)[0].tolist()


@given(SCORES, st.floats(-1, 1))
def test_steps_turn_no_order_round(scores, bound):
    """A score at the bound stays, one clearly over it stays, one clearly under it goes."""
    stays, _ = judge(Rule(minimum=bound, step=STEP), [*scores, bound])
    assert stays[-1]
    for score, kept in zip(scores, stays[:-1], strict=True):
        assert kept == (score >= bound) or abs(score - bound) <= STEP
