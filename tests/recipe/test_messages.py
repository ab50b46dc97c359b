"""What is said of options and recipes that cannot be: in plain words, with the value, and what to write for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge.errors import AugforgeError, RecipeError
from augforge.io import writer_of
from augforge.recipe import build_stage, load_recipe, parse_recipe
from augforge.recipe.advice import source_warnings_of
from tests.cli.test_cli import call
from tests.conftest import write_images

SAID = {
    "a percentage": (("filter", "quality", {"keep": 80}), "key 'keep': it is at most 1, not 80", "write 0.8 for 80%"),
    "in a text": (("filter", "quality", {"keep": "80%"}), "key 'keep': it is a number, not '80%'", "write 0.8 for 80%"),
    "no share": (("filter", "quality", {"keep": -1}), "key 'keep': it is at least 0, not -1", "Keep"),
    "one of two kinds": (
        ("generate", "shifts", {"balance-to": "foo"}), "key 'balance-to': it is a whole number or 'max', not 'foo'", "",
    ),
    "a word for a number": (("generate", "shifts", {"size": "big"}), "key 'size': it is a whole number, not 'big'", ""),
    "half a number": (("generate", "shifts", {"size": 9.5}), "key 'size': it is a whole number, not 9.5", ""),
    "none of the words": (
        ("filter", "quality", {"on": "some"}), "key 'on': it is 'auto', 'all', 'synthetic' or 'real', not 'some'", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_an_option_that_cannot_be(case: str) -> None:
    (verb, name, options), message, hint = SAID[case]
    with pytest.raises(RecipeError) as caught:
        build_stage(verb, name, options)
    assert caught.value.message == message and caught.value.hint.startswith(hint)


def test_a_recipe_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot be read: No such file or directory$"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="is a folder, and no recipe") as caught:
        load_recipe(tmp_path)
    assert "source" in caught.value.hint


def test_formats_that_are_listed_can_be_given() -> None:
    with pytest.raises(AugforgeError) as caught:
        writer_of("zip")
    assert "hub" in caught.value.hint and " dataset," not in caught.value.hint


def test_sources_that_are_not_there_or_named_twice(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pictures", {"cat": 2})
    again = f"[{{folder: {folder}}}, {{folder: {folder}/../pictures}}, {{folder: {tmp_path}/none}}, {{sample: digits}}]"
    (tmp_path / "r.yaml").write_text(f"source: {again}\nstages: []\n")
    assert source_warnings_of(load_recipe(tmp_path / "r.yaml")) == [
        f"source {tmp_path}/none is not here: a run would stop at once",
        f"{folder}/../pictures is named twice as a source: each of its images counts twice",
    ]
    assert "warning: source" in call("check", tmp_path / "r.yaml").stdout
    parts = "[{sample: digits, split: train}, {sample: digits, split: test}]"
    assert source_warnings_of(parse_recipe(f"source: {parts}\nstages: []\n")) == []


def test_a_folder_named_twice_is_said_by_the_run(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pictures", {"cat": 2})
    done = call("filter", "sharpness", folder, folder, "--keep", "1", "--out", tmp_path / "out")
    assert "is named twice as a source" in done.stderr.replace("\n", " ")


def test_retry_is_checked_by_a_dry_run(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pictures", {"cat": 2})
    words = ("filter", "sharpness", folder, "--out", tmp_path / "out", "--retry", "foo", "--dry-run")
    assert "only what failed can be done again" in call(*words, code=2).stderr


@pytest.mark.parametrize("command", ["report", "export --to folder --out x", "why 00", "thresholds"])
def test_a_run_that_was_interrupted_is_not_called_no_run(tmp_path: Path, command: str) -> None:
    (tmp_path / "run" / "parts").mkdir(parents=True)
    (tmp_path / "run" / ".lock").touch()
    name, *rest = command.split()
    said = call(name, tmp_path / "run", *rest, code=2).stderr
    assert "has no result yet" in said and "Errno" not in said
    said = call(name, tmp_path, *rest, code=2).stderr
    assert "is no run folder" in said and "Errno" not in said


def test_of_a_classifier_it_is_said_what_the_figures_are_of() -> None:
    from augforge.cli.render.run import said_of_judging

    data = {"train": {"images": 9}, "held-out": {"images": 6}}
    record = {"data": data, "facts": {"classes": ["circle", "square", "triangle"]}}
    measured = {"measured": {"accuracy": 1.0, "recall circle": 1.0, "recall square": 1.0}}
    assert said_of_judging(record | measured) == ["measured on 6 held-out images; of class triangle none is held out"]
    record["data"]["held-out"]["images"] = 0
    assert said_of_judging(record | measured) == ["measured on images that it was trained on: none is held out"]
    assert said_of_judging({"data": {"day": {"images": 3}}}) == []
    other = {"data": {"held-out": {"images": 3}}, "measured": {"loss": 1.0}, "facts": {}}
    assert said_of_judging(other) == ["measured on 3 held-out images"]  # a detector of oddities has no classes
