"""What judges took the images for: from stored vectors alone, and only of what they scored."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors, vectors_key
from augforge.recipe import parse_recipe
from augforge.report.collect import collect
from augforge.report.judges import judgements
from augforge.stages.filters.classifier import Classifier
from tests.report.runs import EVIL


def test_the_nearest_prompt_is_what_an_image_is_taken_for(run):
    findings = collect(run)
    (judge,) = findings.judgements
    assert (judge.stage, judge.model, judge.classes) == ("2-filter-clip", "builtin-clip", list(EVIL))
    rows = findings.rows.to_pylist()
    vectors = stored_vectors("builtin-clip", "image-embedding", Store(run))
    for row, chosen in zip(rows, judge.chosen.tolist(), strict=True):
        nearest = int(np.argmax(vectors.matrix([row["digest"]])[0][:4]))  # the prompts are unit vectors
        assert chosen == (nearest if "clip-prompt" in dict(row["scores"] or []) else -1)
    assert len(set(judge.chosen.tolist())) > 2


def test_a_class_whose_prompt_was_not_asked_for_cannot_be_chosen(run):
    findings = collect(run)
    (judge,) = judgements(run, findings.recipe, findings.rows, [EVIL[1], "never asked", EVIL[3]])
    assert judge.classes == [EVIL[1], EVIL[3]] and set(judge.chosen.tolist()) <= {-1, 0, 1}


def test_without_prompts_or_vectors_there_is_no_judge(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "vectors" / f"{vectors_key('builtin-clip')}-text")
    assert collect(copy).judgements == []
    shutil.rmtree(copy / "vectors")
    assert collect(copy).judgements == []


def test_no_prompts_are_asked_for_by_prototype(run):
    findings = collect(run)
    recipe = parse_recipe("{name: r, source: {folder: x}, stages: [{filter: clip, by: clip-prototype}]}")
    assert judgements(run, recipe, findings.rows, EVIL) == []


def test_a_classifier_takes_an_image_for_the_class_of_its_largest_logit(run, monkeypatch):
    from augforge.report import judges

    findings = collect(run)
    scores = findings.rows.column("scores")
    assert Classifier.measures[0] not in str(scores.type)
    monkeypatch.setattr(Classifier, "measures", ("clip-prompt",))
    monkeypatch.setattr(judges, "classes_of", lambda model: list("abcdefgh"))
    monkeypatch.setattr(judges, "find_model", lambda name, task: None)
    monkeypatch.setattr(
        judges, "stored_vectors", lambda name, task, store: stored_vectors("builtin-clip", "image-embedding", store)
    )
    stage = Classifier.model_construct(model="mine", by="confidence")
    found = judges._judgement(run, "1-filter-classifier", stage, findings.rows, EVIL)
    vectors = stored_vectors("builtin-clip", "image-embedding", Store(run))
    place = next(place for place, chosen in enumerate(found.chosen) if chosen >= 0)
    logits = vectors.matrix([findings.rows.column("digest")[place].as_py()])[0]
    assert found.classes[found.chosen[place]] == "abcdefgh"[int(logits.argmax())]


@pytest.mark.slow
def test_a_classifier_that_the_recipe_trains_is_a_judge_of_its_report(pictures, tmp_path):
    from augforge.engine.run import run as run_recipe

    recipe = parse_recipe(
        f"""
name: r
source: {{folder: {pictures}}}
stages:
  - {{train: classifier, as: mine, steps: 4, batch: 4}}
  - {{filter: classifier, model: mine, on: all, keep: 0.5}}
"""
    )
    run_recipe(recipe, tmp_path / "out", device="cpu")
    findings = collect(tmp_path / "out")
    (judge,) = findings.judgements
    assert set(judge.classes) == set(findings.classes) and (judge.chosen >= 0).all()
