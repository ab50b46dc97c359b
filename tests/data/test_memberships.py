"""Images of several classes as rows: known answers, and the wrong variants fail."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.data.memberships import memberships_of
from augforge.stages.filters.similarity import margins
from tests.data.test_classes import ledger_of

FOUND = (
    ("dog", {}),
    (None, {"labels": ["bird", "cat"]}),
    (None, {}),
    (None, {"soft_label": {"cat": 0.25, "dog": 0.75}}),
)


@pytest.fixture
def memberships():
    ledger = ledger_of(*FOUND)
    return memberships_of(ledger, ledger.visible())


def test_a_row_for_each_class(memberships):
    assert memberships.rows.tolist() == [0, 1, 1, 2, 3, 3]
    assert memberships.classes.tolist() == [1, 2, 0, -1, 0, 1]
    assert memberships.soft.tolist() == [False] * 4 + [True] * 2


def test_the_best_of_several_labels_and_the_mean_of_a_soft_one(memberships):
    scores = np.array([0.5, 0.2, 0.6, np.nan, 0.4, 0.8])
    assert memberships.joined(scores, lower=False) == pytest.approx([0.5, 0.6, np.nan, 0.7], nan_ok=True)
    assert memberships.joined(scores, lower=True) == pytest.approx([0.5, 0.2, np.nan, 0.7], nan_ok=True)


def test_classes_without_a_score_do_not_count(memberships):
    scores = np.array([np.nan, np.nan, 0.6, np.nan, np.nan, 0.8])
    assert memberships.joined(scores, lower=False) == pytest.approx([np.nan, 0.6, np.nan, 0.8], nan_ok=True)


def test_of_a_soft_label_the_likeliest_is_what_a_class_looks_like(memberships):
    rows, classes = memberships.likeliest()
    assert list(zip(rows.tolist(), classes.tolist(), strict=True)) == [(0, 1), (1, 2), (1, 0), (2, -1), (3, 1)]


def test_another_label_of_an_image_is_no_other_class(memberships):
    table = np.array([[0.9], [0.1], [0.8]], dtype=np.float32)
    images = np.ones((6, 1), dtype=np.float32)
    right = margins(images, memberships.classes, table, memberships.also())
    joined = memberships.joined(right, lower=False)
    assert joined[1] == pytest.approx(0.9 - 0.1, abs=1e-6)
    assert joined[3] == pytest.approx(0.25 * (0.9 - 0.8) + 0.75 * (0.1 - 0.9), abs=1e-6)
    wrong = memberships.joined(margins(images, memberships.classes, table), lower=False)
    assert wrong[1] == pytest.approx(0.9 - 0.8, abs=1e-6)


def test_nothing_where_every_image_has_one_label():
    ledger = ledger_of(("cat", {}), (None, {}))
    assert memberships_of(ledger, ledger.visible()) is None
