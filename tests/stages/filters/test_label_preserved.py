import numpy as np
import pytest
from pydantic import ValidationError

from augforge.stages.filters.label_preserved import LabelPreserved
from tests.stages.filters.galleries import X, Y, Z, directions, inputs


def preserved(images, parents):
    return LabelPreserved().compare(inputs(images, [0] * len(images), parents=parents))["label-preserved"]


def test_known_cosines():
    assert preserved([X, X, X], [[X], [Y], [X, Y]]) == pytest.approx([1, 0, 0.5**0.5])


def test_each_child_is_compared_with_its_own_parents():
    images, real = directions(12), directions(24, seed=1)
    parents = [[real[2 * i], real[2 * i + 1]] if i % 2 else [real[2 * i]] for i in range(12)]
    for image, theirs, score in zip(images, parents, preserved(images, parents), strict=True):
        mean = np.mean(theirs, axis=0)
        assert score == pytest.approx(image @ mean / np.linalg.norm(mean), abs=1e-6)
    swapped = preserved(images, parents[::-1])
    assert np.abs(swapped - preserved(images, parents)).max() > 0.1  # the wrong parents do not pass


def test_without_parents_there_is_no_score_but_a_reason():
    shown = inputs([X, Z], [0, 0], parents=[[X], []])
    scores = LabelPreserved().compare(shown)["label-preserved"]
    assert scores[0] == pytest.approx(1) and np.isnan(scores[1])
    assert LabelPreserved().explain(shown, scores) == [None, "it has no parent to compare with"]
    assert np.isnan(preserved([X], [[]])).all()


def test_real_images_cannot_be_judged():
    assert LabelPreserved().on == "synthetic"
    with pytest.raises(ValidationError):
        LabelPreserved(on="all")
