import numpy as np
import pytest

from augforge.stages.filters.margin import Margin
from tests.stages.filters.galleries import X, Y, Z, directions, inputs


def margin(images, classes, prompts):
    names = "abcdefgh"[: len(prompts)]
    texts = {f"a {name}": prompt for name, prompt in zip(names, prompts, strict=True)}
    return Margin(prompt="a {label}").compare(inputs(images, classes, names, texts=texts))["margin"]


def test_known_margins():
    between = (X + Y) / np.sqrt(2, dtype=np.float32)
    assert margin([X, between, Z], [0, 0, 0], [X, Y, -X]) == pytest.approx([1, 0, 0], abs=1e-6)
    assert margin([-X], [0], [X, -X]) == pytest.approx([-2])


def test_it_is_over_zero_exactly_where_zero_shot_classification_is_right():
    images, prompts = directions(200, spread=3), directions(5, seed=1, spread=3)
    classes = np.arange(200) % 5
    right = (images @ prompts.T).argmax(axis=1) == classes
    assert ((margin(images, classes, prompts) > 0) == right).all() and 0 < right.sum() < 200


def test_it_is_the_best_other_class_that_counts():
    assert margin([X], [0], [X, X, Y, Z]) == pytest.approx([0])  # to the mean of the others it would be 2/3


def test_a_single_class_and_no_label_give_no_score():
    assert np.isnan(margin([X], [0], [X])).all() and np.isnan(margin([X, Y], [-1, -1], [X, Y])).all()
