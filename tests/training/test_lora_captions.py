"""Captions in fine-tuning: each image is learnt by its own one, which is recorded, and those without are named."""

from __future__ import annotations

import csv
import json

import pytest

from augforge.data.annotations import parse_annotations
from augforge.data.sample import Sample
from augforge.engine.runners.train import training_key
from augforge.errors import RecipeError
from augforge.models.directory import HELD_OUT
from augforge.progress import Progress
from augforge.recipe import build_stage, parse_recipe
from augforge.stages.prompts import captioned_of
from augforge.training.lora.unets import Unclip
from tests.conftest import write_images
from tests.stages.generators.test_loras import run
from tests.test_laws import rows

PROMPT = "{caption}, a kind of {label}"


class Told:
    """Keeps what a run says."""

    def __init__(self):
        self.said = []
        self.progress = Progress()
        self.progress.say = self.said.append


@pytest.fixture
def captioned(tmp_path):
    """A folder with three cats and two dogs, of which one cat has no caption."""
    folder = write_images(tmp_path / "pictures", {"cat": 3, "dog": 2})
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "label", "caption"])
        for path in sorted(folder.glob("*/*.png")):
            words = "" if path.parent.name == "cat" and path.stem == "0001" else f"on a mat, {path.stem}."
            table.writerow([str(path.relative_to(folder)), path.parent.name, words])
    return folder


def recipe(source, model, prompt=PROMPT):
    return parse_recipe(f"""
name: words
seed: 1
source: {{folder: {source}}}
stages:
  - {{train: lora, as: mine, model: {model}, steps: 4, size: 32, rank: 2, batch: 2, held-out: 0, prompt: "{prompt}"}}
""")


def test_each_image_is_learnt_by_its_own_caption_and_that_is_what_is_recorded(
    captioned, tiny_unclip, tmp_path, monkeypatch
):
    seen: set[tuple[str, str]] = set()
    condition = Unclip.condition

    def spied(self, shown):
        seen.update(zip(shown.keys, shown.prompts, strict=True))
        return condition(self, shown)

    monkeypatch.setattr(Unclip, "condition", spied)
    told = Told()
    run(recipe(captioned, tiny_unclip), tmp_path / "out", progress=told.progress)
    (folder,) = (tmp_path / "out" / "models").iterdir()
    recorded = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    captions = {
        name: parse_annotations(row["annotations"]).get("caption") for name, row in rows(tmp_path / "out").items()
    }
    labels = {name: row["label"] for name, row in rows(tmp_path / "out").items()}
    with_words = {name for name, words in captions.items() if words}
    assert len(with_words) == 4
    assert {each["id"]: each["prompt"] for each in recorded} == {
        name: f"{captions[name].rstrip('.')}, a kind of {labels[name]}" for name in with_words
    }
    assert seen == {(each["id"], each["prompt"]) for each in recorded}, "in training and when it is judged"
    (said,) = [text for text in told.said if "caption" in text]
    assert said.startswith("train lora: 1 of 5 images have no caption and are left out: ")
    assert said.endswith("cat/0001.png")


def test_other_words_are_another_model_and_only_where_the_prompt_has_them():
    def named(prompt, words):
        samples = [Sample("a", "cat", digest="1" * 64, annotations={"caption": words})]
        return training_key(build_stage("train", "lora", {"prompt": prompt}), {"images": samples, HELD_OUT: []}, 1)

    assert named(PROMPT, "on a mat") == named(PROMPT, "on a mat.") != named(PROMPT, "in a bag")
    assert named("a {label}", "on a mat") == named("a {label}", "in a bag")


def test_a_class_without_any_caption_is_refused_and_many_images_are_counted():
    cats = [Sample(f"c{n}", "cat", annotations={"caption": "on a mat"}) for n in range(2)]
    without = [Sample(f"d{n}", "dog", source=f"folder x: d{n}.png") for n in range(8)]
    with pytest.raises(RecipeError, match=r"asks for a \{caption\}, and no image of 'dog' has one"):
        captioned_of([*cats, *without], "train lora")
    one = Sample("d8", "dog", annotations={"caption": "in a bag"})
    found, said = captioned_of([*cats, *without, one], "train lora")
    assert found == [*cats, one]
    assert said.startswith("train lora: 8 of 11 images have no caption and are left out: folder x: d0.png, ")
    assert said.endswith("folder x: d4.png and 3 more")
    stage = build_stage("train", "lora", {"prompt": PROMPT})
    assert stage.usable(HELD_OUT, without) == ([], ""), "nothing is held out then"
    assert build_stage("train", "lora", {}).usable("images", without) == (without, "")


def test_a_prompt_of_something_else_is_refused():
    with pytest.raises(RecipeError, match=r"only \{label\} and \{caption\} can"):
        build_stage("train", "lora", {"prompt": "a {label} in {place}"})
