"""Semantic loss: a copy loses nothing, a crop of the background everything, and who cannot be judged is told why."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from augforge.stages.filters.classifier import softmax
from augforge.stages.filters.semantic_loss import SemanticLoss
from tests.stages.filters.galleries import X, Y, Z, inputs

CAT, DOG = np.array([3.0, 0.0]), np.array([0.0, 3.0])
HALF = np.zeros(2)


def judged(images, classes, parents, *, known=("cat", "dog"), names=("cat", "dog"), **options):
    stage = SemanticLoss(classifier="c", **options)
    shown = inputs(images, classes, names, parents=parents, known=known)
    return stage, shown, stage.compare(shown)


def test_a_copy_loses_nothing_and_half_of_the_probability_is_ln_2():
    sure = float(softmax(CAT[None])[0, 0])
    _, _, found = judged([CAT, HALF, DOG], [0, 0, 0], [[CAT], [CAT], [CAT]])
    assert found["semantic-loss"] == pytest.approx([0, math.log(sure / 0.5), math.log(sure / (1 - sure))])
    assert found["semantic-kept"] == pytest.approx([sure, 0.5, 1 - sure])


def test_the_class_is_that_of_the_image_and_not_the_likeliest():
    _, _, found = judged([DOG, DOG], [1, 0], [[DOG], [CAT]])
    assert found["semantic-loss"][0] == pytest.approx(0) and found["semantic-loss"][1] > 2
    likeliest = softmax(np.stack([DOG, CAT])).max(axis=1)
    assert likeliest[0] == likeliest[1]  # by the largest probability the second image would lose nothing


def test_of_several_parents_the_one_that_shows_the_class_best_counts():
    _, _, found = judged([HALF], [0], [[DOG, CAT]])
    assert found["semantic-loss"] == pytest.approx([math.log(float(softmax(CAT[None])[0, 0]) / 0.5)])


def test_an_image_that_shows_it_better_than_its_parent_gains():
    assert judged([CAT], [0], [[HALF]])[2]["semantic-loss"][0] < 0


def test_prompts_judge_where_there_is_no_classifier():
    stage = SemanticLoss(logit_scale=2.0)
    texts = {"a photo of a cat": X, "a photo of a dog": Y}
    shown = inputs([Z, Y], [0, 0], ["cat", "dog"], parents=[[X], [X]], texts=texts)
    found = stage.compare(shown)["semantic-loss"]
    sure = float(softmax(np.array([[2.0, 0.0]]))[0, 0])
    assert found == pytest.approx([math.log(sure / 0.5), math.log(sure / (1 - sure))])
    assert stage.models() == [("builtin-clip", "image-embedding")]


def test_who_has_no_score_is_told_why():
    stage, shown, found = judged([CAT, CAT, CAT], [0, 2, 0], [[CAT], [CAT], []], names=("cat", "dog", "fish"))
    loss = found["semantic-loss"]
    assert np.isnan(loss).tolist() == [False, True, True]
    told = stage.explain(shown, loss)
    assert told == [None, "the judge does not know its class", "it has no parent to compare with"]


def test_of_one_class_alone_there_is_no_loss():
    stage = SemanticLoss()
    shown = inputs([X], [0], ["cat"], parents=[[X]], texts={"a photo of a cat": X})
    loss = stage.compare(shown)["semantic-loss"]
    assert np.isnan(loss).all() and stage.explain(shown, loss) == ["the judge knows no other class"]


def test_real_images_cannot_be_judged():
    with pytest.raises(ValidationError):
        SemanticLoss(on="all")
