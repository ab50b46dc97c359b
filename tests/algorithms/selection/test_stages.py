"""The selectors as recipes name them: options, what they refuse, and that they hand on what they are given."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from augforge.algorithms.selection import (
    Selection,
    certify,
    divergences,
    facility_location,
    gradient_matching,
    losses,
    softmax_residual,
)
from augforge.data.ids import key
from augforge.errors import RecipeError
from augforge.recipe import build_stage
from augforge.stages.selectors.balanced import Balanced
from augforge.stages.selectors.facility_location import FacilityLocation, proxy_of
from augforge.stages.selectors.gradient_matching import GradientMatching
from augforge.stages.selectors.hardness import Hardness
from augforge.stages.selectors.max_loss import MaxLoss
from augforge.stages.selectors.random import Random

IDS = [key("row", i) for i in range(60)]
LABELS = ["ant"] * 40 + ["bee"] * 15 + ["cat"] * 5
CLASSES = ["cat", "bee", "ant", "fly"]


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(60, 4)).astype(np.float32)


def most_wrong(classes: list[str], columns: int = 4) -> Selection:
    stage = MaxLoss(classifier="a", share=0.2)
    return stage.choose(12, LABELS, IDS, stage.compared(logits(0)[:, :columns], LABELS, classes))


def disagreeing(teacher: np.ndarray, student: np.ndarray) -> Selection:
    stage = Hardness(teacher="a", student="b", share=0.2)
    return stage.choose(12, LABELS, IDS, stage.compared(np.hstack([teacher, student]), LABELS, CLASSES))


def test_max_loss_keeps_the_largest_losses_of_each_class() -> None:
    chosen = most_wrong(CLASSES)
    loss = losses(logits(0), [CLASSES.index(label) for label in LABELS])
    ants = [row for row in chosen.indices if LABELS[row] == "ant"]
    assert ants == sorted(range(40), key=lambda row: -loss[row])[: len(ants)]
    assert len(chosen.indices) == 12 and len(ants) == 8
    assert chosen.method == "max-loss"


def test_max_loss_with_classes_in_another_order_would_be_wrong() -> None:
    assert most_wrong(CLASSES).indices.tolist() != most_wrong(sorted(CLASSES)).indices.tolist()


def test_a_class_that_the_classifier_does_not_know_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not know the class 'ant'"):
        most_wrong(["cat", "bee"], columns=2)
    with pytest.raises(RecipeError, match="does not know the class 'ant'"):
        proxy_of("outer-product", logits(0), LABELS, ["cat", "bee"])


def test_hardness_keeps_where_the_two_differ_most() -> None:
    chosen = disagreeing(logits(0), logits(1))
    scores = divergences(logits(0), logits(1))
    bees = [row for row in chosen.indices if LABELS[row] == "bee"]
    assert bees == sorted(range(40, 55), key=lambda row: -scores[row])[: len(bees)]
    backwards = disagreeing(logits(1), logits(0))
    assert chosen.indices.tolist() != backwards.indices.tolist()
    same = disagreeing(logits(0), logits(0))
    assert same.gains.tolist() == [0] * 12


def test_balanced_keeps_as_many_of_each_class() -> None:
    chosen = Balanced(share=0.5).choose(15, LABELS, IDS, None)
    assert [LABELS[row] for row in chosen.indices] == ["ant"] * 5 + ["bee"] * 5 + ["cat"] * 5
    more = Balanced(share=0.5).choose(30, LABELS, IDS, None)
    assert [LABELS[row] for row in more.indices].count("cat") == 5 and len(more.indices) == 30
    assert set(chosen.indices.tolist()) <= set(more.indices.tolist())
    assert chosen.weights.tolist() == [1] * 15
    other = Balanced(share=0.5, draw=1).choose(15, LABELS, IDS, None)
    assert set(other.indices.tolist()) != set(chosen.indices.tolist())
    with pytest.raises(ValidationError):
        Balanced(allocation="proportional")


def test_facility_location_hands_its_options_on() -> None:
    features = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
    stage = FacilityLocation(similarity="exponential", width=2.0, method="sparse", neighbours=7, allocation="equal")
    chosen = stage.choose(12, LABELS, IDS, features)
    expected = facility_location(
        features,
        12,
        labels=LABELS,
        allocation="equal",
        similarity="exponential",
        width=2.0,
        method="sparse",
        neighbours=7,
    )
    assert chosen.indices.tolist() == expected.indices.tolist() and chosen.notes == expected.notes
    assert FacilityLocation(memory=1).choose(5, ["a"] * 60, IDS, features).method == "dense"


def test_what_a_proxy_needs_and_how_it_is_certified() -> None:
    needs = [
        FacilityLocation(proxy=p, classifier="c").needs for p in ("embedding", "softmax-residual", "outer-product")
    ]
    assert needs == [("model",), ("classifier",), ("model", "classifier")]
    assert FacilityLocation(proxy="outer-product", logits="z").needs == ("model", "logits")
    assert Hardness(teacher="a", student_logits="z").needs == ("teacher", "student_logits")
    assert MaxLoss(logits="z").needs == ("logits",)
    features = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
    stage = FacilityLocation(similarity="exponential", allocation="equal")
    chosen = stage.choose(12, LABELS, IDS, features)
    found = stage.certify(chosen, LABELS, IDS, features)
    assert found.random < found.objective == chosen.objective <= found.upper_bound
    random = Random(allocation="equal").choose(12, LABELS, IDS, None)
    same = certify(features, random, labels=LABELS, allocation="equal", similarity="exponential")
    assert found.random == pytest.approx(float(same.curve.chosen[-1]))


def test_proxies_are_of_the_classifiers_columns() -> None:
    embeddings = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
    side_by_side = np.hstack([embeddings, logits(0)])
    residuals = proxy_of("softmax-residual", side_by_side, LABELS, CLASSES)
    assert residuals.shape == (60, 4)
    truth = [CLASSES.index(label) for label in LABELS]
    assert (residuals[np.arange(60), truth] < 0).all() and (residuals.sum(axis=1) < 1e-5).all()
    alone = proxy_of("softmax-residual", logits(0), LABELS, CLASSES)
    np.testing.assert_array_equal(alone, residuals)
    outer = proxy_of("outer-product", side_by_side, LABELS, CLASSES)
    np.testing.assert_allclose(outer.reshape(60, 4, 8), residuals[:, :, None] * embeddings[:, None], rtol=1e-5)


def test_without_a_budget_nothing_is_guessed() -> None:
    with pytest.raises(RecipeError, match="it needs count or share"):
        build_stage("select", "random", {})
    with pytest.raises(RecipeError, match="it needs count or share"):
        Random().budget(10)
    assert build_stage("select", "random", {"share": 0.29}).budget(100) == 29
    assert build_stage("select", "random", {"count": 7}).budget(100) == 7


def test_options_that_do_not_go_together_are_refused() -> None:
    for proxy in ("outer-product", "softmax-residual"):
        with pytest.raises(ValidationError, match=f"proxy {proxy} needs classifier or logits"):
            FacilityLocation(proxy=proxy)
        with pytest.raises(ValidationError, match="not both"):
            FacilityLocation(proxy=proxy, classifier="c", logits="z")
    for options in ({"width": 0.0}, {"neighbours": 0}, {"memory": 0}, {"method": "fast"}):
        with pytest.raises(ValidationError):
            FacilityLocation(**options)
    with pytest.raises(ValidationError, match="max-loss needs model or logits"):
        MaxLoss()
    with pytest.raises(ValidationError, match="teacher or teacher-logits"):
        Hardness(student="b")
    with pytest.raises(ValidationError):
        Hardness(teacher="a", student="b", temperature=0)


def test_gradient_matching_matches_residuals_or_outer_products_with_its_ridge() -> None:
    truth = [CLASSES.index(label) for label in LABELS]
    stage = GradientMatching(logits="z", ridge=0.1, allocation="equal", proxy="softmax-residual")
    chosen = stage.choose(12, LABELS, IDS, stage.compared(logits(0), LABELS, CLASSES))
    residuals = softmax_residual(logits(0), truth)
    expected = gradient_matching(residuals, 12, labels=LABELS, allocation="equal", ridge=0.1)
    assert chosen.indices.tolist() == expected.indices.tolist() and chosen.weights.tolist() == expected.weights.tolist()
    assert stage.needs == ("logits",) and stage.needs_one_label
    outer = GradientMatching(classifier="c")
    assert outer.needs == ("model", "classifier")
    both = np.hstack([np.ones((60, 3), np.float32), logits(0)])
    np.testing.assert_allclose(outer.compared(both, LABELS, CLASSES), np.repeat(residuals, 3, axis=1), atol=1e-6)
    with pytest.raises(ValidationError, match="not both"):
        GradientMatching(classifier="c", logits="z")
