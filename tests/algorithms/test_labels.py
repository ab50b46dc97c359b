from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, recall_score

from augforge.algorithms.labels import (
    NO_NUMBER,
    classification_metrics,
    entropy,
    keep_lowest_entropy,
    probabilities,
    pseudo_labels,
)

CLASSES = ("none", "infection", "ischaemia")
# few different values, so that ties are common
LEVELS = st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0, 6.0, math.nan, math.inf])
ROWS = st.lists(st.tuples(LEVELS, LEVELS, LEVELS), max_size=12)
LEAST = st.sampled_from([0.0, 1 / 3, 0.5, 0.9, 1.0])
CAPS = st.none() | st.integers(0, 4)


def table(rows):
    return np.array(rows, dtype=np.float32).reshape(-1, 3)


def names(count):
    return [f"id{number:02d}" for number in range(count)]


def by_hand(rows, ids, least, cap):
    """The accepted ids and their classes, one image after the other."""
    sure = []
    for row, name in zip(rows, ids, strict=True):
        if not all(map(math.isfinite, row)):
            continue
        total = sum(math.exp(value - max(row)) for value in row)
        if 1 / total >= least:
            sure.append((-1 / total, name, row.index(max(row))))
    taken, believed = {}, {}
    for _, name, label in sorted(sure):
        taken[label] = taken.get(label, 0) + 1
        if cap is None or taken[label] <= cap:
            believed[name] = label
    return believed


@given(ROWS, LEAST, CAPS)
def test_it_is_the_rule_written_out(rows, least, cap):
    ids = names(len(rows))
    found = pseudo_labels(table(rows), ids, min_confidence=least, cap=cap, classes=CLASSES)
    believed = {ids[i]: int(found.labels[i]) for i in np.flatnonzero(found.accepted)}
    assert believed == by_hand(rows, ids, least, cap)
    assert [reason is None for reason in found.reasons] == found.accepted.tolist()


@given(ROWS, LEAST, CAPS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(rows, least, cap, random):
    ids, order = names(len(rows)), list(range(len(rows)))
    random.shuffle(order)
    first = pseudo_labels(table(rows), ids, min_confidence=least, cap=cap, classes=CLASSES)
    second = pseudo_labels(table(rows)[order], [ids[i] for i in order], min_confidence=least, cap=cap, classes=CLASSES)
    for field in ("labels", "confidence", "accepted", "reasons"):
        np.testing.assert_array_equal(getattr(first, field)[order], getattr(second, field))


def test_reasons_and_ties():
    logits = table([[9, 0, 0], [9, 0, 0], [9.5, 0, 0], [0.1, 0, 0], [math.nan, 9, 0], [0, 0, 9]])
    found = pseudo_labels(logits, ["d", "c", "b", "x", "y", "z"], min_confidence=0.9, cap=2, classes=CLASSES)
    assert found.accepted.tolist() == [False, True, True, False, False, True]
    assert found.reasons.tolist() == [
        "over the cap of 2 for class none", None, None, "confidence 0.35 under 0.9", NO_NUMBER, None,
    ]  # fmt: skip
    assert found.labels.tolist() == [0, 0, 0, 0, -1, 2]
    assert np.isnan(found.confidence[4])


def test_a_confidence_just_under_the_least_never_reads_as_if_it_reached_it():
    logits = np.array([[math.log(0.8999 / 0.1001), 0]])
    found = pseudo_labels(logits, ["a"], min_confidence=0.9, cap=None, classes=["x", "y"])
    assert found.reasons[0] == "confidence 0.89 under 0.9"  # rounded it would be "0.90 under 0.9"


def test_the_least_confidence_itself_is_enough():
    logits = np.zeros((1, 2))
    assert pseudo_labels(logits, ["a"], min_confidence=0.5, cap=None, classes=["x", "y"]).accepted.all()
    assert not pseudo_labels(logits, ["a"], min_confidence=0.5001, cap=None, classes=["x", "y"]).accepted.any()


def test_no_images_and_wrong_shapes():
    none = pseudo_labels(np.zeros((0, 0)), [], min_confidence=0.5, cap=1, classes=CLASSES)
    assert len(none.labels) == len(none.accepted) == len(none.reasons) == 0
    with pytest.raises(ValueError, match=r"\(2, 3\) for 1 ids"):
        pseudo_labels(np.zeros((2, 3)), ["a"], min_confidence=0.5, cap=1, classes=CLASSES)
    with pytest.raises(ValueError, match="2 classes"):
        pseudo_labels(np.zeros((1, 3)), ["a"], min_confidence=0.5, cap=1, classes=["x", "y"])


def test_probabilities_of_huge_logits():
    found = probabilities(np.array([[1000.0, 0.0], [-1000.0, -1000.0]]))
    np.testing.assert_allclose(found, [[1, 0], [0.5, 0.5]])


def test_entropy_in_closed_form():
    chance = 0.8
    logits = np.array([[0, 0, 0, 0], [800, 0, 0, 0], [math.log(chance), math.log(1 - chance), -800, -800]])
    expected = [math.log(4), 0, -chance * math.log(chance) - (1 - chance) * math.log(1 - chance)]
    np.testing.assert_allclose(entropy(logits), expected, atol=1e-12)
    assert np.isnan(entropy(np.array([[math.nan, 0.0]]))).all()


@given(st.integers(0, 200), st.integers(0, 100), st.randoms(use_true_random=False))
def test_keeps_exactly_the_floor_of_the_share_where_all_differ(count, percent, random):
    values = list(range(count))
    random.shuffle(values)
    kept = keep_lowest_entropy(np.array(values, dtype=float), percent / 100)
    assert kept.sum() == count * percent // 100
    assert kept.tolist() == [value < count * percent // 100 for value in values]


def released_with_its_defect(values, fraction):
    """The threshold at the kept ratio, clipped to the last value so that the index does not run off the end."""
    ranked = np.sort(values)
    return values < ranked[min(int(len(values) * fraction), len(values) - 1)]


def test_a_share_of_one_keeps_all_where_the_clipped_index_loses_one():
    values = np.array([0.3, 0.1, 0.2])
    assert keep_lowest_entropy(values, 1.0).all()
    assert released_with_its_defect(values, 1.0).sum() == 2
    assert not keep_lowest_entropy(values, 0.0).any()


def test_among_equals_it_keeps_fewer_and_never_more():
    assert keep_lowest_entropy(np.array([1.0, 2, 2, 2]), 0.5).tolist() == [True, False, False, False]
    assert not keep_lowest_entropy(np.ones(4), 0.75).any()
    assert keep_lowest_entropy(np.ones(4), 1.0).all()


def test_nan_is_neither_counted_nor_kept():
    values = np.array([math.nan, 0.1, 0.2, math.nan])
    assert keep_lowest_entropy(values, 0.5).tolist() == [False, True, False, False]
    assert keep_lowest_entropy(values, 1.0).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="not in"):
        keep_lowest_entropy(values, 1.5)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_figures_are_those_of_scikit_learn(pairs):
    truth, predicted = (list(column) for column in zip(*pairs, strict=True))
    found = classification_metrics(truth, predicted)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["macro-f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    recalls = recall_score(truth, predicted, labels=sorted(set(truth)), average=None)
    assert [found[f"recall {label}"] for label in sorted(set(truth))] == pytest.approx(recalls.tolist())


def test_macro_f1_by_hand_is_not_the_accuracy():
    # three of four right; F1 of a: 2*3/(3+4) = 6/7, of b: 0
    assert classification_metrics(["a", "a", "a", "b"], ["a"] * 4) == {
        "accuracy": 0.75, "macro-f1": pytest.approx(3 / 7), "recall a": 1.0, "recall b": 0.0,
    }  # fmt: skip


def test_of_many_classes_only_the_lowest_recall_is_named():
    truth = [f"c{number}" for number in range(21)] * 2
    found = classification_metrics(truth, [*truth[:-1], "c0"])
    assert found.keys() == {"accuracy", "macro-f1", "lowest-recall"}
    assert found["lowest-recall"] == 0.5
