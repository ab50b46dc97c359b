"""The threshold for a recall: an exact order statistic, and what new positives may expect of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.screening import operating_point, threshold_for

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]), min_size=1, max_size=40)


@given(SCORES, st.floats(0.01, 1))
def test_it_is_the_largest_threshold_with_that_recall(scores, recall):
    values = np.array(scores)
    threshold = threshold_for(values, recall)
    assert (values >= threshold).mean() >= recall - 1e-9
    higher = values[values > threshold]
    if len(higher):  # the next higher one finds too few
        assert (values >= higher.min()).mean() < recall


@pytest.mark.parametrize(("recall", "kept"), [(0.95, 19), (0.9, 18), (1.0, 20), (0.05, 1), (0.951, 20)])
def test_of_twenty_positives_so_many_pass(recall, kept):
    scores = np.arange(20) / 20
    point = operating_point(scores, scores - 0.5, recall)
    assert (scores >= point.threshold).sum() == kept and point.recall == kept / 20


def test_an_interpolated_quantile_misses_the_recall():
    scores = np.array([0.1, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert (scores >= np.quantile(scores, 0.05)).mean() < 0.95
    assert (scores >= threshold_for(scores, 0.95)).mean() >= 0.95


def test_recall_and_specificity_are_those_at_the_threshold():
    point = operating_point([0.2, 0.6, 0.8, 0.9], [0.1, 0.3, 0.6, 0.7], 0.75)
    assert (point.threshold, point.recall, point.specificity) == (0.6, 0.75, 0.5)
    assert np.isnan(operating_point([0.5], [], 1.0).specificity)


def test_new_positives_are_found_at_least_as_often_as_promised():
    random = np.random.default_rng(0)
    promised, kept = [], []
    for _ in range(2000):
        point = operating_point(random.random(60), [], 0.9)
        promised.append(point.least_recall)
        kept.append(1 - point.threshold)  # the recall on all of the distribution
    assert np.mean(np.array(kept) >= promised) == pytest.approx(0.95, abs=0.015)
    assert promised[0] < 0.9


def test_no_positive_is_no_threshold():
    for scores, recall in (([], 0.9), ([0.5], 0.0), ([np.nan], 0.9)):
        with pytest.raises(ValueError, match="a threshold needs"):
            threshold_for(scores, recall)
