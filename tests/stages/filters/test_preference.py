from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.models import find_model
from augforge.models.image_reward import Reward
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filters.preference import Preference
from tests.conftest import write_images
from tests.stages.filters.galleries import X, Y, Z, inputs
from tests.test_laws import rows
from tests.tiny import save_tiny_clip, save_tiny_reward

DIAGONAL = (X + Y) / np.sqrt(2, dtype=np.float32)
TEXTS = {"a cat": X, "a dog": Y, "a photo": Z}


def scores(stage, images, classes=None, logit_scale=100.0, **given):
    given["logit_scale"] = logit_scale
    gallery = inputs(images, classes or [0] * len(images), ["cat", "dog"], texts=TEXTS, **given)
    return stage.compare(gallery)["preference"], gallery


def test_the_score_is_the_logit_scale_times_the_cosine_to_the_own_prompt():
    found, _ = scores(Preference(model="m"), [X, DIAGONAL, Y, -X], prompts=["a cat", "a cat", "a cat", "a cat"])
    assert found == pytest.approx([100, 100 / np.sqrt(2), 0, -100], abs=1e-4)
    found, _ = scores(Preference(model="m", scale=20), [DIAGONAL, Y], prompts=["a dog", "a dog"])
    assert found == pytest.approx([20 / np.sqrt(2), 20], abs=1e-5)


def test_each_image_is_compared_with_its_own_prompt_and_not_with_its_class():
    found, _ = scores(Preference(model="m"), [X, Y], [1, 1], prompts=["a cat", "a photo"])
    assert found == pytest.approx([100, 0])


def test_of_two_images_the_preferred_one_is_as_likely_as_the_softmax_says():
    found, _ = scores(Preference(model="m", scale=2), [X, DIAGONAL], prompts=["a cat", "a cat"])
    both = np.exp(found) / np.exp(found).sum()
    assert both[0] == pytest.approx(1 / (1 + np.exp(-2 * (1 - 1 / np.sqrt(2)))), abs=1e-6)


def test_one_prompt_for_all_names_the_class_or_not():
    found, _ = scores(Preference(model="m", prompt="a {label}"), [X, Y, X], [0, 1, 1])
    assert found == pytest.approx([100, 100, 0])
    found, _ = scores(Preference(model="m", prompt="a photo"), [X, Z, Z], [0, 1, -1])
    assert found == pytest.approx([0, 100, 100])
    assert Preference(model="m", prompt="a {label}").needs_labels and not Preference(model="m").needs_labels


def test_an_image_without_a_prompt_has_no_score_and_the_reason_says_what_to_give():
    stage = Preference(model="m")
    found, gallery = scores(stage, [X, Y], prompts=["a cat", ""])
    assert found[0] == pytest.approx(100) and np.isnan(found[1])
    assert stage.explain(gallery, found) == [None, "it has no prompt and no caption to be compared with: give `prompt`"]
    found, _ = scores(Preference(model="m", prompt="a {label}"), [X], [-1])
    assert np.isnan(found).all()


def test_the_scale_is_that_of_the_checkpoint_unless_the_recipe_has_one_and_the_facts_say_which():
    told = []
    for stage, own in (
        (Preference(model="m"), 37.5),
        (Preference(model="m", scale=20), 37.5),
        (Preference(model="m"), None),
    ):
        found, gallery = scores(stage, [DIAGONAL], logit_scale=own, prompts=["a cat"])
        facts = stage.facts(gallery)
        assert found == pytest.approx([facts["scale"] / np.sqrt(2)], rel=1e-6)
        told.append((facts["scale"], facts["scale by"]))
    by_default = "default: the checkpoint has no logit scale"
    assert told == [(37.5, "the checkpoint"), (20.0, "the recipe"), (100.0, by_default)]


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_reward(tmp_path_factory.mktemp("reward") / "model"))


def judged(out: Path) -> list[tuple[dict, float]]:
    return [(row, dict(row["scores"])["preference"]) for row in rows(out).values() if row["scores"]]


def test_image_reward_is_asked_about_each_image_and_its_prompt_once(reward, tmp_path):
    folder = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    source = SourceSpec("folder", str(folder))
    stage = build_stage("filter", "preference", {"model": reward, "prompt": "a {label}", "keep": 0.5})
    assert stage.models() == [(reward, "image-reward")] and stage.needs_labels
    recipe = Recipe("x", 1, (source,), (stage,))
    assert plan_run(recipe, None)[1].todo == 5
    assert run(recipe, tmp_path / "out").work[-1]["measured"] == 5
    model = Reward(find_model(reward, "image-reward"), "cpu")
    expected = sorted(
        model.score([Image.open(path).convert("RGB")], [f"a {path.parent.name}"])[0] for path in folder.rglob("*.png")
    )
    assert sorted(score for _, score in judged(tmp_path / "out")) == pytest.approx(expected, abs=1e-5)
    other = stage.model_copy(update={"keep": 0.8, "kind": "image-reward"})
    assert run(Recipe("x", 1, (source,), (other,)), tmp_path / "out").computed == 0


def test_image_reward_reads_what_each_image_was_made_from(reward, tmp_path):
    made = build_stage("generate", "text2img", {"model": "builtin-sd", "per-class": 1, "steps": 1, "batch": 2})
    stage = build_stage("filter", "preference", {"model": reward, "on": "all", "keep": 1.0})
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"three": 1, "four": 1})))
    run(Recipe("x", 1, (source,), (made, stage)), tmp_path / "out")
    found = rows(tmp_path / "out").values()
    synthetic = [row for row in found if row["origin"] == "synthetic"]
    assert len({dict(row["scores"])["preference"] for row in synthetic}) == 2
    real = [row for row in found if row["origin"] == "real"]
    assert {row["dropped"] for row in real} == {
        "preference: it has no prompt and no caption to be compared with: give `prompt`"
    }


def test_the_kind_of_model_is_read_from_its_directory(reward, tmp_path):
    clip = save_tiny_clip(tmp_path / "clip")
    assert not Preference(model=str(clip)).asks_a_model and Preference(model=reward).asks_a_model
    assert Preference(model="hub:a/b", kind="image-reward").models() == [("hub:a/b", "image-reward")]
    assert Preference(model="hub:a/b").models() == [("hub:a/b", "image-text")]
    with pytest.raises(RecipeError, match="no cosines"):
        Preference(model=reward, scale=3).check()
    assert Preference(model=reward).facts(inputs([X], [0], ["cat"])) == {}
