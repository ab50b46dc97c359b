"""Questions to a vision-language model as a filter: closed forms, each question once, and who is asked about what."""

from __future__ import annotations

import hashlib
import json
from math import exp

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.algorithms.rules import STEP
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import BadImage, EmptyResult, RecipeError
from augforge.models.find import find_model
from augforge.models.vision_language import VisionLanguage
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.saved import saved
from tests.tiny_vision_language import rig

LOGITS = {"y": 2.0, "Y": 1.0, "n": 1.5, "N": -1.0, "q": 9.0, **{str(k): float(k) / 2 for k in range(1, 6)}}
YES = (exp(2) + exp(1)) / (exp(2) + exp(1) + exp(1.5) + exp(-1))
RATING = sum(k * exp(k / 2) for k in range(1, 6)) / sum(exp(k / 2) for k in range(1, 6))


@pytest.fixture(scope="session")
def rigged(tiny_vlm, tmp_path_factory) -> str:
    return str(rig(tiny_vlm, tmp_path_factory.mktemp("models") / "rigged", LOGITS))


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "pictures", {"cat": 3, "night_owl": 2})


def recipe(folder, *stages, kind: str = "folder") -> Recipe:
    return Recipe("x", 1, (SourceSpec(kind, str(folder)),), stages)


def stage(model, **options):
    return build_stage("filter", "vlm", {"model": str(model), **options})


def rows(out) -> list[dict]:
    return [{**row, "scores": dict(row["scores"])} for row in pq.read_table(out / "samples.parquet").to_pylist()]


def test_scores_are_the_closed_form_of_the_logits(rigged, folder, tmp_path):
    run(recipe(folder, stage(rigged)), tmp_path / "yes")
    assert [row["scores"]["vlm-yes"] for row in rows(tmp_path / "yes")] == pytest.approx([YES] * 5, abs=1e-5)
    run(recipe(folder, stage(rigged, by="vlm-rating", min=1)), tmp_path / "rating")
    assert [row["scores"]["vlm-rating"] for row in rows(tmp_path / "rating")] == pytest.approx([RATING] * 5, abs=1e-4)


def test_the_first_word_alone_would_say_nothing(rigged, folder):
    """The known wrong variants: the likeliest token is no answer at all, and one spelling is not all of yes."""
    from PIL import Image

    model = VisionLanguage(find_model(rigged, "image-text-to-text"), "cpu")
    image = Image.new("RGB", (32, 32))
    assert model.describe([image], "is it?", 1)[0].startswith("q")
    assert abs(model.ask([image], ["is it?"])[0] - exp(2) / (exp(2) + exp(1.5))) > 0.05


def test_by_default_what_gets_a_no_goes(rigged, folder, tmp_path, tiny_vlm):
    run(recipe(folder, stage(rigged)), tmp_path / "yes")
    assert all(row["kept"] for row in rows(tmp_path / "yes"))
    other = rig(tiny_vlm, tmp_path / "no", {"y": 0.0, "n": 3.0})
    with pytest.raises(EmptyResult):
        run(recipe(folder, stage(other)), tmp_path / "out")
    assert all(not row["kept"] and "vlm-yes" in row["dropped"] for row in rows(tmp_path / "out"))


def test_each_image_is_asked_about_its_own_class_as_the_model_answers_alone(tiny_vlm, folder, tmp_path):
    question = "a {label}?"
    run(recipe(folder, stage(tiny_vlm, question=question, keep=1.0)), tmp_path / "out")
    model = VisionLanguage(find_model(str(tiny_vlm), "image-text-to-text"), "cpu")
    images = {row["id"]: row["image"].convert("RGB") for row in saved(tmp_path / "out")}
    found = {row["id"]: row["scores"]["vlm-yes"] for row in rows(tmp_path / "out")}
    for row in rows(tmp_path / "out"):
        text = f"a {row['label'].replace('_', ' ')}?"
        assert found[row["id"]] == pytest.approx(model.ask([images[row["id"]]], [text])[0], abs=2e-6)
    assert np.ptp(list(found.values())) > STEP


def test_a_question_is_asked_once_and_another_rule_asks_none(tiny_vlm, folder, tmp_path):
    def asked(**options) -> int:
        told = recipe(folder, stage(tiny_vlm, **options))
        planned = plan_run(told, tmp_path / "out")[1].todo
        measured = run(told, tmp_path / "out").work[1]["measured"]
        assert planned == measured
        return measured

    assert asked(question="a {label}?", keep=0.5) == 5
    assert asked(question="a {label}?", keep=0.8) == asked(question="a {label}?", min=0.0) == 0
    assert asked(question="a {label}? or not?", keep=0.5) == 5
    assert asked(question="a {label}?", keep=0.5, by="vlm-rating") == 5
    assert asked(question="is it sharp?", keep=0.5) == 5
    write_images(folder, {"dog": 2}, seed=9)
    assert asked(question="a {label}?", keep=0.5) == 2


def test_copies_with_another_label_are_asked_about_that(tiny_vlm, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 1})
    (folder / "dog").mkdir()
    (folder / "dog" / "copy.png").write_bytes((folder / "cat" / "0000.png").read_bytes())
    done = run(recipe(folder, stage(tiny_vlm, question="a {label}?", keep=1.0)), tmp_path / "out")
    scores = {row["label"]: row["scores"]["vlm-yes"] for row in rows(tmp_path / "out")}
    assert done.work[1]["measured"] == 2 and scores["cat"] != scores["dog"]
    done = run(recipe(folder, stage(tiny_vlm, question="sharp?", keep=1.0)), tmp_path / "any")
    assert done.work[1]["measured"] == 1


def test_a_soft_label_gives_the_mean_weighted_by_its_shares(tiny_vlm, folder, tmp_path):
    mix = build_stage("generate", "mix", {"op": "mixup", "partner": "other-class", "per-class": 2})
    run(recipe(folder, mix, stage(tiny_vlm, question="a {label}?", keep=1.0)), tmp_path / "out")
    model = VisionLanguage(find_model(str(tiny_vlm), "image-text-to-text"), "cpu")
    shown = {row["id"]: row["image"].convert("RGB") for row in saved(tmp_path / "out")}
    made = [row for row in rows(tmp_path / "out") if row["origin"] == "synthetic"]
    assert len(made) == 4
    for row in made:
        shares = json.loads(row["annotations"])["soft_label"]
        questions = [f"a {name.replace('_', ' ')}?" for name in shares]
        each = model.ask([shown[row["id"]]] * len(shares), questions)
        assert row["scores"]["vlm-yes"] == pytest.approx(np.dot(each, list(shares.values())), abs=2e-6)


def test_the_best_of_several_labels_counts(tiny_vlm, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 1, "dog": 1})
    lines = [
        {"file_name": "cat/0000.png", "labels": ["cat", "dog"]},
        {"file_name": "dog/0000.png", "label": "dog"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run(recipe(folder, stage(tiny_vlm, question="a {label}?", keep=1.0, on="all")), tmp_path / "out")
    model = VisionLanguage(find_model(str(tiny_vlm), "image-text-to-text"), "cpu")
    shown = {row["id"]: row["image"].convert("RGB") for row in saved(tmp_path / "out")}
    (several,) = [row for row in rows(tmp_path / "out") if row["label"] is None]
    image = shown[several["id"]]
    each = model.ask([image, image], ["a cat?", "a dog?"])
    assert several["scores"]["vlm-yes"] == pytest.approx(each.max(), abs=2e-6) and np.ptp(each) > 1e-4


def test_without_a_label_nobody_can_be_asked_about_one(tiny_vlm, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2, ".": 2})
    run(recipe(folder, stage(tiny_vlm, question="a {label}?", min=0.0)), tmp_path / "out")
    reasons = {row["label"]: row["dropped"] for row in rows(tmp_path / "out")}
    assert reasons == {"cat": None, None: "vlm-yes: it has no label to ask about"}
    run(recipe(folder, stage(tiny_vlm, question="sharp?", min=0.0)), tmp_path / "any")
    assert all(row["kept"] for row in rows(tmp_path / "any"))


def test_an_image_that_is_gone_is_dropped_with_the_reason(tiny_vlm, folder, tmp_path, monkeypatch):
    from augforge.engine.pixels import Pixels

    gone = hashlib.sha256((folder / "cat" / "0000.png").read_bytes()).hexdigest()
    read = Pixels.bytes_of

    def reading(self, sample):
        if sample.digest == gone:
            raise BadImage("it is gone")
        return read(self, sample)

    monkeypatch.setattr(Pixels, "bytes_of", reading)
    run(recipe(folder, stage(tiny_vlm, question="sharp?", min=0.0)), tmp_path / "out")
    reasons = {row["digest"]: row["dropped"] for row in rows(tmp_path / "out")}
    assert reasons.pop(gone).endswith("it is gone") and set(reasons.values()) == {None}


def test_a_rating_needs_a_rule(tiny_vlm):
    with pytest.raises(RecipeError, match="a rule is needed"):
        stage(tiny_vlm, by="vlm-rating").check()
