"""Pre-screening: the threshold comes from held-out positives alone, and what the classifier learnt never sets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from augforge.engine.held_out import held_out
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.models.directory import DIGITS
from augforge.progress import Progress
from augforge.recipe import Recipe, parse_recipe
from augforge.stages.filter_inputs import HeldOut
from augforge.stages.filters.pre_screen import PreScreen
from tests.conftest import write_images
from tests.stages.filters.galleries import inputs
from tests.test_laws import NoModels, rows


def logits(probabilities):
    """Two classes: nothing, and tumour with these probabilities."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.stack([np.log(1 - p), np.log(p)], axis=1).astype(np.float32)


def screened(probabilities, positives, negatives, **options):
    stage = PreScreen(model="m", positive=("tumour",), **options)
    shown = inputs(list(logits(probabilities)), [-1] * len(probabilities), known=["nothing", "tumour"])
    labels = ["tumour"] * len(positives) + ["nothing"] * len(negatives)
    asked = HeldOut(logits([*positives, *negatives]), labels, "the images of split validation")
    shown._held_out = lambda split: asked
    return stage, shown, stage.compare(shown)


def test_at_least_the_recall_that_was_asked_for_passes():
    positives = np.linspace(0.05, 0.99, 20)
    stage, shown, found = screened([0.04, 0.2, 0.9], positives, [0.01, 0.03, 0.2, 0.5], recall=0.95)
    assert found["pre-screen-probability"] == pytest.approx([0.04, 0.2, 0.9])
    assert found["pre-screen"] == pytest.approx(np.array([0.04, 0.2, 0.9]) - positives[1])
    stays, _ = stage.decide(found, shown.ids, np.zeros(3, dtype=np.int64), "all")
    assert stays.tolist() == [False, True, True]
    assert "recall 0.950, specificity 0.500 on the images of split validation" in stage.remark(shown)
    assert "(20 positive, 4 negative)" in stage.remark(shown)


def test_without_positives_or_with_an_unknown_class_it_is_an_error():
    with pytest.raises(RecipeError, match="none of the images of split validation is of tumour"):
        screened([0.5], [], [0.2])
    stage = PreScreen(model="m", positive=("bone",))
    with pytest.raises(RecipeError, match="does not know 'bone'"):
        stage.compare(inputs(list(logits([0.5])), [0], known=["nothing", "tumour"]))


def test_another_rule_looks_at_the_probability_and_needs_no_threshold():
    stage = PreScreen(model="m", positive=("tumour",), min=0.3)
    shown = inputs(list(logits([0.2, 0.4])), [-1, -1], known=["nothing", "tumour"])
    found = stage.compare(shown)
    stays, reasons = stage.decide(found, shown.ids, np.zeros(2, dtype=np.int64), "all")
    assert stays.tolist() == [False, True] and reasons[0] == "pre-screen-probability: under 0.3"
    assert stage.remark(shown) == "" and stage.explain(shown, found["pre-screen-probability"]) == ()


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Frames of two kinds to learn from and to validate with, and others to screen."""
    for split, count, seed in (("train", 20, 0), ("validation", 12, 1), ("test", 10, 2)):
        write_images(tmp_path / "set" / split, {"tumour": count, "nothing": count}, seed=seed)
    return tmp_path / "set"


class Told(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def about(self, text: str) -> None:
        self.lines.append(text)


def recipe_of(source: Path, **options) -> Recipe:
    screen = {"filter": "pre-screen", "model": "small", "positive": ["tumour"], **options}
    train = {"train": "classifier", "as": "small", "steps": 40}
    return parse_recipe(
        json.dumps({"name": "r", "seed": 0, "source": {"folder": str(source)}, "stages": [train, screen]})
    )


def test_in_a_run_the_positives_of_all_splits_pass_and_the_rest_goes(frames, tmp_path):
    told = Told()
    run(recipe_of(frames), tmp_path / "out", progress=told)
    found = list(rows(tmp_path / "out").values())
    tumours = [row["kept"] for row in found if row["label"] == "tumour"]
    others = [row for row in found if row["label"] == "nothing"]
    assert np.mean(tumours) >= 0.9 and np.mean([row["kept"] for row in others]) < 0.1
    assert all("the threshold for a recall of 0.95" in row["dropped"] for row in others if not row["kept"])
    (line,) = [text for text in told.lines if "passes from a probability" in text]
    assert "on the images of split validation (12 positive, 12 negative)" in line
    again = run(recipe_of(frames, recall=0.5), tmp_path / "out", progress=NoModels("passes from"))
    assert again.computed == 0 and again.kept < sum(row["kept"] for row in found)


def test_what_the_classifier_learnt_never_sets_the_threshold(frames, tmp_path, monkeypatch):
    from augforge.data.ledger import Ledger
    from augforge.data.sample import Sample
    from augforge.engine import held_out as module
    from augforge.models import Model

    ledger = Ledger(["tumour"])
    digests = [f"{number:02d}" * 32 for number in range(4)]
    ledger.extend(Sample(id=str(n), label="tumour", digest=digest, split="train") for n, digest in enumerate(digests))
    model = Model("m", ("classification",), str(tmp_path), "", "")
    monkeypatch.setattr(module, "trained_on", lambda folder: frozenset(d[:DIGITS] for d in digests[:3]))
    indices, where = held_out(ledger, "validation", model)
    assert indices.tolist() == [3] and "did not learn from" in where
    monkeypatch.setattr(module, "trained_on", lambda folder: frozenset(d[:DIGITS] for d in digests))
    with pytest.raises(RecipeError, match="learnt from all labelled images"):
        held_out(ledger, "validation", model)
    monkeypatch.setattr(module, "trained_on", lambda folder: None)
    with pytest.raises(RecipeError, match="does not say which images it learnt from"):
        held_out(ledger, "validation", model)
