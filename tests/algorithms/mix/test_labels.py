"""Classes of two images in one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.mix import knowledge, mixed_classes
from augforge.data.annotations import check_annotations

SOFT = {"soft_label": {"cat": 0.25, "dog": 0.75}}


def test_two_labels_are_shared_out_and_equal_ones_add_up():
    assert mixed_classes(("cat", {}), ("dog", {}), 0.3) == {"soft_label": {"cat": 0.3, "dog": 0.7}}
    assert mixed_classes(("cat", {}), ("cat", {}), 0.3) == {"soft_label": {"cat": 1.0}}
    assert mixed_classes(("cat", {}), ("dog", {}), 1.0) == {"soft_label": {"cat": 1.0}}


def test_a_mixed_image_can_be_mixed_again():
    assert mixed_classes((None, SOFT), ("owl", {}), 0.5)["soft_label"] == {"cat": 0.125, "dog": 0.375, "owl": 0.5}


def test_several_labels_are_all_seen_and_of_what_is_not_known_nothing_is_said():
    several = (None, {"labels": ["cat", "dog"]})
    assert mixed_classes(several, (None, {"labels": ["dog", "owl"]}), 0.9) == {"labels": ["cat", "dog", "owl"]}
    assert mixed_classes(several, ("owl", {}), 1.0) == {"labels": ["cat", "dog"]}
    assert mixed_classes(several, (None, {}), 0.5) == {} == mixed_classes((None, {}), ("cat", {}), 0.5)
    assert [knowledge(*each) for each in (("cat", {}), (None, SOFT), several, (None, {}), (None, {"labels": []}))] == [
        "one", "one", "several", "none", "none",
    ]  # fmt: skip
    assert knowledge(None, {"labels": ["cat"]}) == "one"


@given(st.floats(0, 1), st.lists(st.floats(0.01, 1), min_size=2, max_size=12))
def test_a_mixed_label_is_a_distribution(lam, weights):
    total = math.fsum(weights)
    soft = {str(number): weight / total for number, weight in enumerate(weights)}
    made = mixed_classes((None, {"soft_label": soft}), ("x", {}), lam)
    assert check_annotations(made, (1, 1)) == (made, [])
    assert math.fsum(made["soft_label"].values()) == pytest.approx(1, abs=1e-7)
