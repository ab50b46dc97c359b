import numpy as np
import pytest

from augforge.stages.filters.prototype import Prototype
from tests.stages.filters.galleries import X, Y, Z, directions, inputs


def test_known_cosines():
    between = (X + Y) / np.sqrt(2, dtype=np.float32)
    shown = inputs([X, between, Z], [0, 0, 1], reference=([X, Y, Z], [0, 0, 1], "uvw"))
    assert Prototype().compare(shown)["prototype"] == pytest.approx([0.5**0.5, 1, 1])


def test_it_is_the_brute_force_cosine_to_the_mean_of_the_own_class():
    images, real = directions(20), directions(15, seed=1)
    classes, theirs = np.arange(20) % 3, np.arange(15) % 3
    scores = Prototype().compare(inputs(images, classes, reference=(real, theirs, range(15))))["prototype"]
    for image, number, score in zip(images, classes, scores, strict=True):
        mean = np.mean([vector for vector, other in zip(real, theirs, strict=True) if other == number], axis=0)
        assert score == pytest.approx(image @ mean / np.linalg.norm(mean), abs=1e-6)
    assert scores != pytest.approx(images @ real.mean(axis=0) / np.linalg.norm(real.mean(axis=0)))  # of all classes


def test_without_real_images_or_label_there_is_no_score_and_no_text_is_asked_for():
    scores = Prototype().compare(inputs([X, X, X], [0, 1, -1], reference=([X], [0], "u")))["prototype"]
    assert scores[0] == pytest.approx(1) and np.isnan(scores[1:]).all()
