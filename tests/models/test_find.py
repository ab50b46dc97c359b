"""What can be given as a model, and what is said where it cannot."""

from __future__ import annotations

import pytest

from augforge.errors import AugforgeError, ModelError
from augforge.models import MODELS, find_model
from augforge.models.find import ways_to_name
from augforge.models.tasks import TASKS
from augforge.recipe import build_stage
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import kebab


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_name_is_answered_with_every_way_to_name_a_model(task):
    with pytest.raises(ModelError, match="there is no model called 'nothing-of-the-kind'") as caught:
        find_model("nothing-of-the-kind", task)
    ways = caught.value.hint
    assert ways == ways_to_name(task) and "directory" in ways
    fit = {name for name, row in MODELS.items() if row.backend_for(task) and not (task == "safety" and row.knows)}
    assert all(name in ways for name in fit)
    assert ("ARCH/PRETRAINED" in ways) == (task in ("image-text", "image-embedding", "safety", "preference"))
    assert ("package.module:function" in ways) == (task == "safety")


def test_a_near_name_comes_first():
    with pytest.raises(ModelError) as caught:
        find_model("builtin-clop", "image-text")
    assert caught.value.hint.startswith("did you mean 'builtin-clip'?") and "DIRECTORY" in caught.value.hint.upper()


def test_a_model_for_something_else_is_answered_likewise():
    with pytest.raises(ModelError, match="'builtin-clip' is a model for image-embedding, image-text") as caught:
        find_model("builtin-clip", "text-to-image")
    assert caught.value.hint == ways_to_name("text-to-image")


def test_names_of_open_clip_are_known_before_it_is_loaded():
    assert find_model("ViT-L-14/openai", "image-text").backends == ("open_clip",)
    assert find_model("ViT-B-32/laion2b-s34b-b79k", "image-text").backends == ("open_clip",)  # as open_clip reads it
    with pytest.raises(ModelError, match="open_clip has no weights of that name") as caught:
        find_model("ViT-B-32/laion2b_s34b_b79", "image-text")
    assert "did you mean 'ViT-B-32/laion2b_s34b_b79k'?" in caught.value.hint


OPTIONS = [(verb, name, option) for verb, name in STAGES for option in stage_class(verb, name).tasks()]


@pytest.mark.parametrize(("verb", "name", "option"), OPTIONS)
def test_every_option_of_every_stage_that_names_a_model_says_so(verb, name, option):
    cls = stage_class(verb, name)
    more = {"select": {"share": 0.5}}.get(verb, {})
    with pytest.raises(AugforgeError) as caught:
        build_stage(verb, name, {**more, **REQUIRED.get((name, option), {}), kebab(option): "nothing-of-the-kind"})
    assert caught.value.hint == ways_to_name(cls.tasks()[option])


@pytest.mark.parametrize(
    ("verb", "name"),
    [("generate", "night"), ("generate", "paired"), ("filter", "classifier"), ("pseudo-label", "confidence")],
)
def test_a_model_that_is_left_out_is_asked_for_with_every_way_to_name_it(verb, name):
    (task,) = stage_class(verb, name).tasks().values()
    with pytest.raises(AugforgeError, match="key 'model' is missing") as caught:
        build_stage(verb, name, {})
    assert caught.value.hint == ways_to_name(task)


CONTROLLED = {"controlnet": "builtin-controlnet", "control": "edges"}
REQUIRED = {
    **{("controlled", option): CONTROLLED for option in ("model", "edge_model", "depth_model")},
    ("controlled", "controlnet"): {"control": "edges"},
    ("hardness", "teacher"): {"student": "efficientnet-lite2"},
    ("hardness", "student"): {"teacher": "efficientnet-lite2"},
    ("facility-location", "classifier"): {"proxy": "outer-product"},
    ("pre-screen", "model"): {"positive": ["cat"]},
    ("aesthetic", "model"): {"head": __file__},
    ("gradient-matching", "model"): {"classifier": "efficientnet-lite2"},
    ("marginal", "model"): {"learner": "efficientnet-lite2"},
    ("weather", "depth_model"): {"kind": "fog"},
    ("weather", "model"): {"kind": "night"},
}
"""What else the stages need that are asked about."""


@pytest.mark.parametrize(("verb", "name"), [("pseudo-label", "confidence"), ("select", "max-loss")])
def test_the_one_classifier_of_a_stage_is_its_model_as_everywhere(verb, name):
    more = {"share": 0.5} if verb == "select" else {}
    new = build_stage(verb, name, {"model": "efficientnet-lite2", **more})
    old = build_stage(verb, name, {"classifier": "efficientnet-lite2", **more})  # recipes and runs of before
    assert new == old and new.options()["model"] == "efficientnet-lite2" and "classifier" not in new.options()


@pytest.mark.parametrize("name", ["max-loss", "hardness"])
def test_so_is_one_of_several_options_that_is_needed(name):
    with pytest.raises(AugforgeError, match=r"needs .* or ") as caught:
        build_stage("select", name, {"share": 0.5})
    assert caught.value.hint == ways_to_name("classification")
