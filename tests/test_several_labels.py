"""A law over the whole catalog: of images with several labels, and with soft labels, every stage makes something
sensible, or it refuses them in the one sentence that says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError
from augforge.evaluate.evaluation import planned_arms
from augforge.evaluate.settings import Settings
from augforge.io import KINDS
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.catalog import STAGES, stage_class
from tests.saved import saved
from tests.test_laws import recipe_of, rows
from tests.told import KIND, PLACE, write_told

SINGLE = [{"label": "cat"}] * 4 + [{"label": "dog"}] * 3 + [{"label": "fish"}, {"label": "cat", "split": "test"}]
SEVERAL = [{"annotations": {"labels": names}} for names in (["cat", "bird"], ["dog", "bird"], ["bird", "dog", "cat"])]
SOFT = [
    {"annotations": {"soft_label": shares}}
    for shares in ({"cat": 0.75, "bird": 0.25}, {"bird": 0.5, "dog": 0.5}, {"bird": 0.9, "dog": 0.1})
]
UNKNOWN: list[dict[str, Any]] = [{}, {}]
SETS = {"several": SEVERAL, "soft": SOFT}
SENTENCE = {"several": "3 images have several labels", "soft": "3 images have a soft label"}
REFUSING = {
    ("filter", "weight-unicon"),
    ("filter", "weight-classifier"),
    ("filter", "marginal"),
    ("select", "max-loss"),
    ("select", "gradient-matching"),
    ("train", "classifier"),
    ("train", "night"),
    ("generate", "augmented-conditioning"),  # no image is of the class bird alone
    ("generate", "cross-class"),
    ("generate", "img2img"),
    ("generate", "variation"),
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.setitem(KINDS, KIND, PLACE)
    return write_told(tmp_path / "told", [*SINGLE, *SETS[request.param], *UNKNOWN])


def takes_all(stage: tuple[str, str]) -> bool:
    """Whether a stage can be told to look at all images; some look at generated ones alone."""
    field = stage_class(*stage).model_fields.get("on")
    return field is not None and "all" in get_args(field.annotation)


def on(models: Mapping[str, str], source: Path, stage: tuple[str, str], **options: Any) -> Recipe:
    verb, name = stage
    follows = verb in ("filter", "select") and stage not in REFUSING
    first = [("generate", "shifts", {"size": 32, "per-class": None, "families": ["blur"]})] if follows else []
    if takes_all(stage):
        options = {"on": "all", **options}
    recipe = recipe_of(models, source, *first, (verb, name, options))
    return replace(recipe, sources=(SourceSpec(KIND, str(source)),))


@pytest.fixture(scope="session")
def models(tiny_models: dict[str, str]) -> dict[str, str]:
    return tiny_models


@pytest.mark.parametrize("source", SETS, indirect=True)
@pytest.mark.parametrize("stage", list(STAGES), ids="-".join)
def test_every_stage_works_or_refuses_in_one_sentence(models, source, tmp_path, stage, request):
    kind = request.node.callspec.params["source"]
    recipe = on(models, source, stage)
    if stage not in REFUSING:
        summary = run(recipe, tmp_path / "out", allow_empty=True)  # the pictures of tiny models are constant
        assert summary.kept or stage == ("select", "review")  # nobody marked any
        assert sum(sum(reasons.values()) for reasons in summary.reasons.values()) == summary.dropped
        assert set(saved(tmp_path / "out")["id"]) == {i for i, row in rows(tmp_path / "out").items() if row["kept"]}
        return
    for attempt in (lambda: run(recipe, tmp_path / "out"), lambda: plan_run(recipe, tmp_path / "other")):
        with pytest.raises(AugforgeError) as raised:
            attempt()
        assert raised.value.exit_code == 2 and isinstance(raised.value, RecipeError)
        assert SENTENCE[kind] in raised.value.message and raised.value.message.startswith(f"{stage[0]} {stage[1]}: ")
        assert "one class" in raised.value.message and raised.value.hint


@pytest.mark.parametrize("source", SETS, indirect=True)
def test_evaluate_refuses_too(models, source, tmp_path, request):
    run(on(models, source, ("filter", "sharpness"), keep=1.0), tmp_path / "out")
    with pytest.raises(RecipeError, match=r"^evaluate: it needs one class per image, and 3 images have"):
        planned_arms(tmp_path / "out", Settings())


COMPARING = [
    s for s in STAGES if s[0] == "filter" and takes_all(s) and getattr(stage_class(*s), "compares_classes", False)
]


@pytest.mark.parametrize("source", SETS, indirect=True)
@pytest.mark.parametrize("stage", COMPARING, ids="-".join)
def test_filters_that_compare_with_classes_score_them(models, source, tmp_path, stage):
    run(on(models, source, stage, keep=1.0), tmp_path / "out")
    measure = stage_class(*stage)(model=next(iter(models.values()))).primary_measure
    found = [row for row in rows(tmp_path / "out").values() if row["origin"] == "real"]
    special = [dict(row["scores"]) for row in found if row["label"] is None and "label" in row["annotations"]]
    assert len(special) == 3 and all(np.isfinite(scores[measure]) for scores in special)
    unknown = [dict(row["scores"]) for row in found if row["label"] is None and not row["annotations"]]
    assert len(unknown) == 2


@pytest.mark.parametrize("source", SETS, indirect=True)
def test_classes_are_balanced_by_expected_counts(models, source, tmp_path, request):
    kind = request.node.callspec.params["source"]
    counts = {
        "several": {"cat": 6, "dog": 5, "bird": 3, "fish": 1},
        "soft": {"cat": 4.75, "dog": 3.6, "bird": 1.65, "fish": 1},
    }[kind]
    recipe = on(models, source, ("generate", "text2img"), **{"per-class": None, "balance-to": 8})
    run(recipe, tmp_path / "out")
    made = [row["label"] for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic"]
    assert {name: made.count(name) for name in counts} == {
        name: int(np.floor(8 - count + 0.5)) for name, count in counts.items()
    }
    wrong = {"cat": 4, "dog": 5, "bird": 8, "fish": 7}  # by the labels alone
    assert {name: made.count(name) for name in counts} != wrong
    planned = plan_run(recipe, tmp_path / "other")
    assert planned[-1].todo == len(made)


@pytest.mark.parametrize("source", ["several"], indirect=True)
def test_plan_and_summary_count_alike(models, source, tmp_path):
    recipe = on(models, source, ("select", "random"), share=1.0)
    out = run(recipe, tmp_path / "out")
    assert dict(plan_run(recipe, tmp_path / "out")[-1].classes) == dict(out.classes)


@pytest.mark.parametrize("source", ["several"], indirect=True)
def test_every_image_makes_a_shift_once_and_keeps_its_labels(models, source, tmp_path):
    run(on(models, source, ("generate", "shifts"), **{"per-class": None, "families": ["blur"]}), tmp_path / "out")
    made = [row for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic"]
    assert len(made) == 4 + 3 + 1 + 3 + 2
    assert sum('"labels"' in row["annotations"] for row in made) == 3


@pytest.mark.parametrize("source", SETS, indirect=True)
def test_few_shots_are_few_with_several_labels_too(models, source, tmp_path):
    run(on(models, source, ("select", "few-shot"), shots=1), tmp_path / "out")
    left = [row for row in rows(tmp_path / "out").values() if row["origin"] == "real" and row["kept"]]
    assert (
        sum(row["split"] != "test" and (row["label"] is not None or "label" in row["annotations"]) for row in left) == 4
    )


@pytest.mark.parametrize("source", SETS, indirect=True)
def test_pseudo_labels_are_for_what_has_no_label(models, source, tmp_path):
    run(
        on(models, source, ("pseudo-label", "confidence"), **{"min-confidence": 0.0, "per-class-cap": None}),
        tmp_path / "out",
    )
    labelled = [row for row in rows(tmp_path / "out").values() if row["labelled_by"]]
    assert len(labelled) == 2 and all(not row["annotations"] for row in labelled)
