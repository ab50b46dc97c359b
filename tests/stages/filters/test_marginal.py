import numpy as np
import pytest

from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.models import find_model
from augforge.models.loading import classes_of, load_classifier, load_embedder
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filters import marginal
from augforge.stages.filters.marginal import Marginal
from tests.conftest import write_images
from tests.saved import saved
from tests.stages.filters.galleries import X, Y, Z, inputs

TEXTS = {"a photo of a cat": X, "a photo of a dog": Y}
HALF, SURE = np.log([[0.5, 0.5]]), np.log([[0.8, 0.2]])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """A learner of two classes, by hand; real ones keep their own."""
    import augforge.models.loading as loading

    mine = loading.classes_of
    monkeypatch.setattr(marginal, "find_model", lambda name, task: name if name == "m" else find_model(name, task))
    monkeypatch.setattr(loading, "classes_of", lambda row: ["cat", "dog"] if row == "m" else mine(row))


def gallery(images, classes, by_model, names=("cat", "dog"), texts=TEXTS):
    """`by_model` are the logits of each image by the name of the model."""
    found = inputs(images, classes, names, texts=texts)
    found._seen_by = lambda name, task: np.concatenate(by_model[name])
    return found


def test_the_measures_are_the_learners_loss_and_margin_and_the_judges_probability():
    shown = gallery([X, Z, Y], [0, 0, 0], {"m": [SURE, HALF, SURE]})
    found = Marginal(learner="m", logit_scale=2).compare(shown)
    assert found["marginal-loss"] == pytest.approx([-np.log(0.8), np.log(2), -np.log(0.8)])
    assert found["marginal-margin"] == pytest.approx([0.6, 0, 0.6])
    likely = 1 / (1 + np.exp(-2))
    assert found["marginal-right"] == pytest.approx([likely, 0.5, 1 - likely])
    assert "marginal-variance" not in found


def test_the_variance_is_over_the_learner_and_its_earlier_states():
    shown = gallery([X], [0], {"m": [SURE], "before": [HALF]})
    found = Marginal(learner="m", earlier=("before",), by="variance").compare(shown)
    assert found["marginal-variance"] == pytest.approx([0.15**2])
    with pytest.raises(ValueError, match="by variance needs earlier"):
        Marginal(learner="m", by="variance")


def test_what_is_not_right_goes_however_informative_and_of_the_rest_the_most_informative_stays():
    stage = Marginal(learner="m", keep=0.5, right=0.6)
    scores = {"marginal-loss": np.array([3.0, 2.0, 1.0, 0.5]), "marginal-right": np.array([0.1, 0.9, 0.8, np.nan])}
    stays, reasons = stage.decide(scores, list("abcd"), np.zeros(4, dtype=np.int64), "its class")
    assert stays.tolist() == [False, True, False, False]
    assert reasons[0] == "marginal-right: under 0.6" and reasons[3] == "marginal-right: it has no score"
    assert reasons[2].startswith("marginal-loss: not among the best 50 %") and reasons[1] is None


def test_by_margin_the_smallest_is_the_most_informative():
    stage = Marginal(learner="m", keep=0.5, by="margin", right=0)
    scores = {"marginal-margin": np.array([0.9, -0.1]), "marginal-right": np.ones(2)}
    assert stage.decide(scores, ["a", "b"], np.zeros(2, dtype=np.int64), "all")[0].tolist() == [False, True]


def test_without_a_rule_only_what_is_not_right_goes():
    scores = {"marginal-loss": np.array([0.0, 5.0]), "marginal-right": np.array([0.5, 0.49])}
    stays, _ = Marginal(learner="m").decide(scores, ["a", "b"], np.zeros(2, dtype=np.int64), "all")
    assert stays.tolist() == [True, False]


def test_a_class_that_the_learner_does_not_know_has_no_loss():
    texts = {"a photo of a cat": X, "a photo of a cow": Y}
    shown = gallery([X, X], [0, 1], {"m": [SURE, SURE]}, ["cat", "cow"], texts)
    found = Marginal(learner="m").compare(shown)["marginal-loss"]
    assert found[0] == pytest.approx(-np.log(0.8)) and np.isnan(found[1])


def test_a_run_asks_both_models_and_keeps_every_vector(tiny_models, tmp_path):
    judge, learner = tiny_models["image-text"], tiny_models["classification"]
    source = (SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3, "dog": 3}, seed=5))),)
    stage = build_stage("filter", "marginal", {"model": judge, "learner": learner, "right": 0})
    summary = run(Recipe("x", 1, source, (stage,)), tmp_path / "out", device="cpu")
    assert summary.work[-1]["measured"] == 12
    data = saved(tmp_path / "out")
    images = [image.convert("RGB") for image in data["image"]]
    row = find_model(learner, "classification")
    logits = load_classifier(row, "cpu").embed_images(images).astype(float)
    names = data.features["label"].names
    own = [classes_of(row).index(names[label]) for label in data["label"]]
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), own]
    assert [s["marginal-loss"] for s in data["scores"]] == pytest.approx(expected.tolist(), abs=1e-4)
    clip = load_embedder(find_model(judge, "image-text"), "cpu")
    cosines = 100 * clip.embed_images(images) @ clip.embed_texts([f"a photo of a {name}" for name in names]).T
    likely = np.exp(cosines) / np.exp(cosines).sum(axis=1, keepdims=True)
    right = likely[np.arange(6), data["label"]]
    assert [s["marginal-right"] for s in data["scores"]] == pytest.approx(right.tolist(), abs=1e-3)


def test_an_unknown_learner_is_refused():
    with pytest.raises(AugforgeError):
        build_stage("filter", "marginal", {"learner": "nothing-of-the-kind"})
