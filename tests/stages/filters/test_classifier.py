import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax as reference_softmax
from scipy.stats import entropy as reference_entropy

from augforge.stages.filters.classifier import Classifier, entropy, softmax
from tests.stages.filters.galleries import inputs

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [1 / 3] * 3], dtype=np.float32))


def compare(logits, classes, names="abc", known="abc"):
    return Classifier(model="m").compare(inputs(logits, classes, names, known=known))


def test_known_answers():
    scores = compare(LOGITS, [0, 1, 2])
    assert scores["classifier-confidence"] == pytest.approx([0.7, 0.5, 1 / 3])
    assert scores["classifier-label-probability"] == pytest.approx([0.7, 0.25, 1 / 3])
    assert scores["classifier-entropy"][1:] == pytest.approx([1.5 * np.log(2), np.log(3)])


@given(st.integers(0, 20))
def test_softmax_and_entropy_are_those_of_scipy(seed):
    logits = np.random.default_rng(seed).normal(size=(9, 5)).astype(np.float32) * 30
    assert softmax(logits) == pytest.approx(reference_softmax(logits, axis=1), rel=1e-4, abs=1e-12)
    assert entropy(softmax(logits)) == pytest.approx(reference_entropy(softmax(logits), axis=1), abs=1e-9)


def test_huge_logits_do_not_overflow_and_certainty_has_no_entropy():
    assert softmax(np.array([[1e4, 0.0]], dtype=np.float32)).tolist() == [[1, 0]]
    assert entropy(np.array([[1.0, 0.0]])).tolist() == [0]


def test_the_classifiers_order_of_classes_is_its_own():
    scores = compare(LOGITS[:1].repeat(4, axis=0), [0, 1, 2, -1], names=["c", "a", "unknown"], known=["a", "b", "c"])
    assert scores["classifier-label-probability"][:2] == pytest.approx([0.1, 0.7])
    assert np.isnan(scores["classifier-label-probability"][2:]).all()
    assert not np.isnan(scores["classifier-confidence"]).any()


@pytest.mark.parametrize(("share", "kept"), [(0.95, 19), (0.75, 15), (1.0, 20), (0.29, 5)])
def test_the_share_of_lowest_entropy_is_exact_also_at_one(share, kept):
    """A threshold read at index floor(r n) of the sorted entropies runs off the end at r = 1."""
    logits = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32) * 3
    scores = entropy(softmax(logits))
    rule = Classifier(model="m", by="entropy", keep=share, scope="all").rule()
    stays, _ = rule.apply(scores, [str(i) for i in range(20)], np.zeros(20, dtype=int), "all")
    assert stays.sum() == kept
    if share < 1:
        assert scores[stays].max() < scores[~stays].min()
        assert (scores < np.sort(scores)[int(share * 20 + 1e-9)]).sum() == kept
    else:
        with pytest.raises(IndexError):
            np.sort(scores)[int(share * 20)]


def test_by_names_the_measure():
    assert Classifier(model="m", by="label-probability").primary_measure == "classifier-label-probability"
    assert (
        not Classifier(model="m").rule().lower_is_better and Classifier(model="m", by="entropy").rule().lower_is_better
    )
