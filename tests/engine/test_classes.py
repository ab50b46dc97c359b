"""Attributes of classes: written once, kept word by word, and brought back by the lock without a language model."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import ModelError, RecipeError
from augforge.models import find_model
from augforge.models.language import LanguageModel
from augforge.provenance.lock import NAME, read_lock
from augforge.recipe import Recipe, SourceSpec, build_stage, check_recipe
from augforge.reproduce.rebuild import rebuild
from tests.conftest import write_images
from tests.tiny_vision_language import save_tiny_language

PROMPT = "a {label}, {pose}, {background}"
PLACES = {"cat": ["on a mat", "in a box, at dawn"], "night_owl": ["on a branch"]}
POSES = {"cat": ["asleep"], "night_owl": ["flying", "at rest", "hunting"]}


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> str:
    return str(save_tiny_language(tmp_path_factory.mktemp("models") / "tiny-language"))


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> str:
    from tests.tiny_backends import save_tiny_sd

    return str(save_tiny_sd(tmp_path_factory.mktemp("models") / "tiny-sd"))


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "pictures", {"cat": 2, "night_owl": 2})


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The questions that a model was asked which answers from PLACES and POSES."""
    met: list[str] = []

    def write(self, prompt: str, longest: int = 256) -> str:
        met.append(prompt)
        known = PLACES if "background" in prompt else POSES
        (label,) = [each for each in known if each.replace("_", " ") in prompt]
        return "Sure:\n" + "\n".join(f"{n}. {entry}" for n, entry in enumerate(known[label], 1))

    monkeypatch.setattr(LanguageModel, "write", write)
    return met


def recipe(folder, model, plain, prompt: str = PROMPT, **options) -> Recipe:
    lists = build_stage("caption", "classes", {"model": model, **options})
    make = build_stage("generate", "text2img", {"model": plain, "per-class": 6, "steps": 1, "prompt": prompt})
    return Recipe("x", 1, (SourceSpec("folder", str(folder)),), (lists, make))


def prompts(out) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"cat": [], "night_owl": []}
    for row in pq.read_table(out / "samples.parquet").to_pylist():
        if row["origin"] == "synthetic":
            found[row["label"]].append(json.loads(row["sampled_params"])["prompt"])
    return {label: sorted(texts) for label, texts in found.items()}


def test_prompts_have_words_of_the_lists_of_their_class_and_the_lock_has_all(model, plain, folder, tmp_path, asked):
    told = recipe(folder, model, plain)
    assert [row.todo for row in plan_run(told, tmp_path / "out")][1:] == [4, 12]
    run(told, tmp_path / "out")
    assert len(asked) == 4 and any("10 different short phrases for the pose of a night owl" in each for each in asked)
    assert read_lock(tmp_path / "out" / NAME)["words"] == {"background": PLACES, "pose": POSES}
    for label, texts in prompts(tmp_path / "out").items():
        name = label.replace("_", " ")
        assert set(texts) <= {f"a {name}, {pose}, {place}" for pose in POSES[label] for place in PLACES[label]}
        assert len(set(texts)) > 1
    assert [row.todo for row in plan_run(told, tmp_path / "out")][1:] == [0, 0]
    assert run(told, tmp_path / "out").up_to_date


def test_a_rebuild_without_the_language_model_gives_the_same_prompts(
    model, plain, folder, tmp_path, asked, monkeypatch
):
    told = recipe(folder, model, plain)
    run(told, tmp_path / "first")
    shutil.copy(tmp_path / "first" / NAME, tmp_path / "x.lock")

    def gone(self, *_):
        raise ModelError("no language model here", "")

    monkeypatch.setattr(LanguageModel, "__init__", gone)
    done = rebuild(told, tmp_path / "x.lock", tmp_path / "again")
    assert done.same and prompts(tmp_path / "again") == prompts(tmp_path / "first")
    with pytest.raises(ModelError):
        run(told, tmp_path / "unlocked")


def test_a_list_is_written_once_and_another_question_asks_again(model, plain, folder, tmp_path, asked):
    run(recipe(folder, model, plain), tmp_path / "out")
    write_images(folder, {"cat": 1}, seed=8)
    assert run(recipe(folder, model, plain), tmp_path / "out").work[1]["measured"] == 0
    again = recipe(folder, model, plain, question="Name {count} {attribute}s of a {label}.")
    assert run(again, tmp_path / "out").work[1]["measured"] == 4


def test_a_model_without_a_list_and_a_prompt_without_its_attribute_are_refused(
    model, plain, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(LanguageModel, "write", lambda self, prompt, longest=256: "Of course:")
    with pytest.raises(ModelError, match="wrote no list of the background of 'cat'"):
        run(recipe(folder, model, plain), tmp_path / "out")
    with pytest.raises(RecipeError, match=r"\{weather\} in its prompt cannot be filled in"):
        check_recipe(recipe(folder, model, plain, prompt="{weather}"))
    for options in ({"attributes": ["Back ground"]}, {"attributes": ["label"]}, {"question": "{what}"}):
        with pytest.raises(RecipeError):
            build_stage("caption", "classes", options)


def test_the_words_of_a_language_model_are_its_likeliest_ones(model):
    import torch

    tiny = LanguageModel(find_model(model, "text-generation"), "cpu")
    inputs = tiny._inputs("a river")
    tokens = inputs["input_ids"]
    told = []
    with torch.inference_mode():
        while len(told) < 8:
            told.append(int(tiny._net(input_ids=tokens).logits[0, -1].argmax()))
            tokens = torch.cat([tokens, torch.tensor([told[-1:]])], dim=1)
            if told[-1] == tiny._net.generation_config.eos_token_id:
                break
    assert tiny.write("a river", 8) == tiny._tokenizer.decode(told, skip_special_tokens=True) != ""
    assert tiny.write("a lake", 8) != tiny.write("a river", 8)
    with pytest.raises(ModelError):
        find_model("nothing", "text-generation")
