"""Label errors: planted ones are found, by classifiers that never saw the label that they judge."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from augforge.algorithms.label_errors import find_label_errors, folds_of, judge, judgeable, out_of_sample

FILTERS = ("prune-by-noise-rate", "prune-by-class", "both", "confident-learning", "predicted-neq-given")


def blobs(per_class: int = 80, classes: int = 4, wrong: float = 0.1, width: int = 16, seed: int = 0):
    """Vectors (n, d) around a centre a class, the labels given to them, and which of these are planted errors."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), per_class)
    vectors = 3 * np.eye(width)[truth] + random.normal(0, 0.5, (len(truth), width))
    planted = np.zeros(len(truth), dtype=bool)
    planted[random.choice(len(truth), int(wrong * len(truth)), replace=False)] = True
    given = np.where(planted, (truth + random.integers(1, classes, len(truth))) % classes, truth)
    return vectors.astype(np.float32), given, planted, truth


def dealt(given: np.ndarray, folds: int = 5) -> np.ndarray:
    keys = [f"{np.random.default_rng(i).integers(1 << 40):012x}" for i in range(len(given))]
    return folds_of(given, np.arange(len(given)), keys, folds)


def test_planted_errors_are_found_and_their_true_class_is_suggested():
    vectors, given, planted, truth = blobs()
    found = find_label_errors(vectors, given, dealt(given), "prune-by-noise-rate", "self-confidence")
    precision, recall = planted[found.wrong].mean(), found.wrong[planted].mean()
    assert precision > 0.95 and recall > 0.8
    assert (found.suggested[found.wrong & planted] == truth[found.wrong & planted]).all()
    worst = np.argsort(found.quality)[: planted.sum()]
    assert planted[worst].mean() > 0.9


def test_a_classifier_that_saw_the_labels_finds_fewer():
    """The known wrong variant: probabilities of a model of the very labels that it judges."""
    from sklearn.linear_model import LogisticRegression

    vectors, given, planted, _ = blobs(per_class=15, width=64, wrong=0.1)
    seen = LogisticRegression(C=1000, max_iter=2000).fit(vectors, given).predict_proba(vectors)
    wrong = judge(given, seen, "prune-by-noise-rate", "self-confidence")
    right = find_label_errors(vectors, given, dealt(given), "prune-by-noise-rate", "self-confidence")
    assert wrong.wrong[planted].mean() == 0
    assert right.wrong[planted].mean() > 0.5


@pytest.mark.parametrize("filter_by", FILTERS)
def test_it_says_what_cleanlab_says_of_the_same_probabilities(filter_by):
    vectors, given, _, _ = blobs(per_class=30)
    probabilities = out_of_sample(vectors, given, dealt(given))
    found = judge(given, probabilities, filter_by, "normalized-margin")
    expected = find_label_issues(given, probabilities, filter_by=filter_by.replace("-", "_"), n_jobs=1)
    assert found.wrong.tolist() == expected.tolist() and found.wrong.any()
    quality = get_label_quality_scores(given, probabilities, method="normalized_margin")
    assert np.array_equal(found.quality, quality)


def test_probabilities_of_a_fold_do_not_depend_on_its_labels():
    vectors, given, _, _ = blobs(per_class=20)
    folds = dealt(given)
    before = out_of_sample(vectors, given, folds)
    changed = given.copy()
    changed[folds == 2] = (given[folds == 2] + 1) % 4
    after = out_of_sample(vectors, changed, folds)
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.array_equal(before[folds != 2], after[folds != 2])
    assert np.allclose(before.sum(axis=1), 1)


def test_folds_are_stratified_whatever_the_order_and_groups_stay_together():
    random = np.random.default_rng(1)
    classes = np.repeat([0, 1, 2], [50, 20, 3])
    keys = [f"{number:012x}" for number in random.permutation(len(classes))]
    groups = np.arange(len(classes))
    groups[[3, 17, 60]] = 3
    folds = folds_of(classes, groups, keys, 5)
    assert len(set(folds[[3, 17, 60]])) == 1
    assert all(np.bincount(folds[classes == 0], minlength=5) >= 9)
    assert all(np.bincount(folds[classes == 1], minlength=5) >= 3)
    order = random.permutation(len(classes))
    again = folds_of(classes[order], groups[order], [keys[i] for i in order], 5)
    assert np.array_equal(again, folds[order])


def test_a_class_in_one_fold_is_not_judged():
    vectors, given, _, _ = blobs(per_class=20, classes=3)
    given[given == 2] = 0
    given[0] = 2
    folds = dealt(given)
    assert not judgeable(given, folds)[0]
    found = find_label_errors(vectors, given, folds, "prune-by-noise-rate", "self-confidence")
    assert np.isnan(found.quality[0]) and found.suggested[0] == -1 and not found.wrong[0]
    assert np.isfinite(found.quality[1:]).all()


def test_of_a_single_class_nothing_is_said():
    found = find_label_errors(
        np.ones((6, 3), np.float32), np.zeros(6, np.int64), np.arange(6) % 2, "both", "self-confidence"
    )
    assert np.isnan(found.quality).all() and not found.wrong.any()
