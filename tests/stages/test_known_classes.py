"""A model is not asked about classes that it does not know: not by a filter, not by a generator, unless one insists."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models import MODELS, unknown_classes
from augforge.models.known import BUILTIN
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import AsksAboutClasses, check_classes
from tests.conftest import write_images

SMALL = ("builtin-clip", "builtin-sd", "builtin-unclip")


def recipe(folder: Path, *stages: tuple[str, str, dict[str, object]]) -> Recipe:
    return Recipe("x", 1, (SourceSpec("folder", str(folder)),), tuple(build_stage(*stage) for stage in stages))


def test_every_name_in_the_training_prompts_is_known_and_no_other():
    sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
    from _training_data import CLASSES, SYNONYMS

    trained = {name for each in CLASSES for name in SYNONYMS.get(each, [each])} - {"sunflower flower"}
    assert trained <= BUILTIN
    plurals = {"daisies", "airplanes", "automobiles", "dandelions"}
    assert {name for name in BUILTIN if name not in trained} <= plurals | {"sunflower flower"}


def test_capitals_underscores_and_spaces_do_not_matter():
    names = ["Cat", "daisy_flower", " digit  7 ", "7", "cats", "church", ""]
    assert unknown_classes(names, BUILTIN) == ["cats", "church", ""]


def test_the_built_in_models_state_what_they_know_and_full_ones_do_not():
    assert {name for name, model in MODELS.items() if model.knows is not None} == set(SMALL)


def test_every_stage_that_fills_in_a_class_name_asks_about_classes():
    prompts = {stage: stage_class(*stage).model_fields.get("prompt") for stage in STAGES}
    prompting = {stage for stage, prompt in prompts.items() if prompt and "{label}" in str(prompt.default)}
    asking = {stage for stage in STAGES if issubclass(stage_class(*stage), AsksAboutClasses)}
    prompting -= {("train", "lora")}  # it teaches a model the names of classes
    if_named = {("filter", "safety"), ("filter", "preference")}  # only a prompt that the user gives names the class
    assert prompting <= asking == prompting | if_named


@pytest.mark.parametrize(
    ("stage", "way_out"),
    [
        (("filter", "clip", {}), "clip-prototype"),
        (("filter", "clip", {"by": "clip-margin"}), "clip-prototype"),
        (("filter", "margin", {}), "prototype"),
        (("generate", "augmented-conditioning", {"model": "builtin-unclip", "per-class": 1}), "list models"),
    ],
)
def test_classes_that_it_has_never_seen_are_refused_before_anything_is_done(tmp_path, stage, way_out):
    folder = write_images(tmp_path / "pictures", {"church": 2, "cat": 2, "garbage_truck": 1})
    for go in (lambda: run(recipe(folder, stage), tmp_path / "out"), lambda: plan_run(recipe(folder, stage))):
        with pytest.raises(ModelError, match=r"does not know 'church', 'garbage_truck'; it is tiny") as error:
            go()
        assert way_out in error.value.hint and "any-class" in error.value.hint
    assert not (tmp_path / "out" / "dataset").exists()


def test_what_it_knows_and_what_one_insists_on_is_done(tmp_path):
    known = write_images(tmp_path / "known", {"Cat": 3, "dog": 3})
    unknown = write_images(tmp_path / "unknown", {"church": 3, "tench": 3})
    assert run(recipe(known, ("filter", "clip", {"keep": 0.5})), tmp_path / "one").dropped == 4
    for name, options in (
        ("clip", {"keep": 0.5, "any-class": True}),
        ("margin", {"keep": 0.5, "any-class": True}),
        ("clip", {"keep": 0.5, "by": "clip-prototype"}),
    ):
        assert run(recipe(unknown, ("filter", name, options)), tmp_path / "two").dropped == 4


def test_a_generator_of_one_class_is_asked_about_that_one_only():
    stage = build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip", "of": "cat"})
    check_classes([stage], ["cat", "church"])
    with pytest.raises(ModelError, match="does not know 'church'"):
        check_classes([stage.model_copy(update={"of": "church"})], ["cat", "church"])


def test_all_stages_that_would_ask_are_named_at_once():
    options = {"model": "builtin-unclip"}
    stages = [
        build_stage("generate", "augmented-conditioning", options), build_stage("filter", "quality", {}),
        build_stage("filter", "clip", {"model": "builtin-clip", "keep": 0.5}),
    ]  # fmt: skip
    with pytest.raises(ModelError, match=r"^generate augmented-conditioning: .*; likewise filter clip$") as error:
        check_classes(stages, ["cat", "church"])
    assert "`any-class: true` of the stage (--any-class of its command)" in error.value.hint


def test_insisting_changes_no_result():
    for verb, name, options in (
        ("filter", "clip", {}),
        ("generate", "augmented-conditioning", {"model": "builtin-unclip", "per-class": 1}),
    ):
        plain, insisting = (build_stage(verb, name, {**options, **more}) for more in ({}, {"any-class": True}))
        assert plain.measured_options() == insisting.measured_options()


def test_unsafe_concepts_are_none_of_what_a_small_model_knows():
    with pytest.raises(ModelError, match="filter safety: builtin-clip does not know 'an explicit photo") as error:
        build_stage("filter", "safety", {"model": "builtin-clip"})
    assert "vit-b-32" in error.value.hint
    stage = build_stage("filter", "safety", {"model": "builtin-clip", "any-class": True})
    check_classes([stage], ["church"])
