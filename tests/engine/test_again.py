"""A choice made again: elsewhere, with other options, and without making or touching anything of the run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import augforge as augforge_package
from augforge import Review, Run, select_again, stage
from augforge.cli.app import app
from augforge.engine.again import bring_work, chosen_again
from augforge.engine.beside import review_file
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError, SourceError, StoreError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage, load_recipe
from tests.conftest import write_images
from tests.saved import saved


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that made images and chose half of all."""
    folder = tmp_path_factory.mktemp("again")
    source = SourceSpec("folder", str(write_images(folder / "photos", {"cat": 6, "dog": 6})))
    stages = (
        build_stage("generate", "mix", {"op": "mixup", "per-class": 6}),
        build_stage("select", "random", {"share": 0.5, "on": "all"}),
    )
    run(Recipe("mine", 5, (source,), stages), folder / "run")
    return folder


def everything(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def augforge(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="augforge")


def test_another_draw_chooses_others_makes_nothing_and_leaves_the_run_as_it_was(chosen: Path) -> None:
    before = everything(chosen / "run")
    other = ["--on", "all", "--draw", "1", "--share", "0.5", "--out", chosen / "other"]
    assert augforge("select", "random", chosen / "run", "--again", *other).exit_code == 0
    assert everything(chosen / "run") == before
    first, second = set(saved(chosen / "run")["id"]), set(saved(chosen / "other")["id"])
    assert first != second and len(first) == len(second) == 12
    recipe = chosen_again(chosen / "run", build_stage("select", "random", {"share": 0.5, "on": "all", "draw": 1}))
    again = run(recipe, chosen / "third-way") if bring_work(chosen / "run", chosen / "third-way", Progress()) else None
    assert again is not None and [row.get("generated", 0) for row in again.work] == [0, 0, 0]
    assert set(saved(chosen / "third-way")["id"]) == second


def test_it_is_the_choice_that_the_recipe_with_these_options_makes(chosen: Path) -> None:
    stage = build_stage("select", "random", {"count": 7, "on": "all", "draw": 3})
    recipe = chosen_again(chosen / "run", stage)
    assert recipe.stages[1] is stage and (recipe.name, recipe.seed) == ("mine", 5)
    bring_work(chosen / "run", chosen / "seven", Progress())
    run(recipe, chosen / "seven")
    made = run(recipe, chosen / "fresh").work
    assert [row.get("generated", 0) for row in made] == [0, 12, 0]  # what is brought is not made anew
    assert set(saved(chosen / "seven")["id"]) == set(saved(chosen / "fresh")["id"])
    assert bring_work(chosen / "run", chosen / "seven", Progress()) == 0


def test_of_several_selectors_the_last_is_replaced(chosen: Path) -> None:
    stages = (build_stage("select", "random", {"share": 0.9}), build_stage("select", "balanced", {"share": 0.5}))
    source = SourceSpec("folder", str(chosen / "photos"))
    run(Recipe("two", 1, (source,), stages), chosen / "two")
    recipe = chosen_again(chosen / "two", build_stage("select", "random", {"count": 3}))
    assert [stage.name for stage in recipe.stages] == ["random", "random"] and recipe.stages[0] == stages[0]


def test_what_cannot_be_chosen_again_is_refused(chosen: Path) -> None:
    stage = build_stage("select", "random", {"share": 0.5})
    with pytest.raises(SourceError, match="is no run folder"):
        chosen_again(chosen / "photos", stage)
    plain = Recipe("plain", 1, (SourceSpec("folder", str(chosen / "photos")),), ())
    run(plain, chosen / "plain")
    with pytest.raises(RecipeError, match="made no choice"):
        chosen_again(chosen / "plain", stage)
    with pytest.raises(StoreError, match="is its own source"):
        bring_work(chosen / "run", chosen / "run", Progress())
    with pytest.raises(StoreError, match="lies in its source"):
        bring_work(chosen / "run", chosen / "run" / "parts" / "x", Progress())
    words = ["select", "random", chosen / "run", "--again", "--share", "0.5", "--out", chosen / "no"]
    refused = augforge(*words, "--seed", "2")
    assert refused.exit_code == 2 and "keeps the run's own seed" in refused.output
    refused = augforge(*words[:3], chosen / "two", *words[3:])
    assert refused.exit_code == 2 and "takes one run" in refused.output
    assert augforge(*words, "--dry-run").exit_code == 0 and not (chosen / "no").exists()


def test_from_python(chosen: Path) -> None:
    selector = stage("select", "random", share=0.5, on="all", draw=1)
    again = select_again(Run(chosen / "run"), selector, chosen / "python")
    run(chosen_again(chosen / "run", selector), chosen / "the-same")
    assert set(saved(again.folder)["id"]) == set(saved(chosen / "the-same")["id"])
    with pytest.raises(AugforgeError, match="chooses nothing"):
        select_again(Run(chosen / "run"), stage("filter", "quality"), chosen / "none")


def reviewing(photos: Path, path: Path) -> None:
    """Write a recipe that follows people before it chooses."""
    stages = "  - {filter: review}\n  - {select: random, share: 0.5, on: all}\n"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"name: r\nsource: {{folder: {photos}}}\nstages:\n{stages}")


def test_what_people_decided_beside_the_recipe_holds_for_another_choice(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewing(chosen / "photos", tmp_path / "recipes" / "r.yaml")
    monkeypatch.chdir(tmp_path)
    assert augforge("run", "recipes/r.yaml", "--out", "run").exit_code == 0
    note = {"command": ["augforge", "run", "recipes/r.yaml", "--out", "run"], "cwd": str(tmp_path)}
    (tmp_path / "run" / ".progress.json").write_text(json.dumps(note))
    review = Review("run", recipe="recipes/r.yaml", who="Ann")
    review.decide((dropped := review.look(1)[0].sample), "drop")
    words = ["--again", "--share", "1", "--on", "all", "--out", "again"]
    assert augforge("select", "random", "run", *words).exit_code == 0
    assert dropped not in saved(Path("again"))["id"]


@pytest.mark.parametrize("recipe", ["recipes/r.yaml", "r.yaml"])
def test_the_decisions_about_a_choice_made_again_go_to_those_of_the_recipe(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """From wherever it is looked at, and of a choice that was made again twice."""
    reviewing(chosen / "photos", tmp_path / recipe)
    monkeypatch.chdir(tmp_path)
    env = {**os.environ, "PYTHONPATH": str(Path(augforge_package.__file__).parents[1])}
    words = [sys.executable, "-m", "augforge", "run", recipe, "--out", "run", "--quiet"]
    subprocess.run(words, env=env, check=True, timeout=120)  # a command that was typed is noted with the run
    theirs = (tmp_path / recipe).parent / "review.jsonl"
    assert review_file(Path("run")).resolve() == theirs
    choose = ["--again", "--share", "1", "--on", "all", "--out"]
    assert augforge("select", "random", "run", *choose, "again").exit_code == 0
    assert augforge("select", "random", "again", *choose, "twice").exit_code == 0
    assert review_file(Path("again")).resolve() == review_file(Path("twice")).resolve() == theirs
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    review = Review(tmp_path / "again", who="Ann")
    assert review.file.resolve() == theirs
    review.decide((dropped := review.look(1)[0].sample), "drop")
    assert augforge("select", "random", tmp_path / "twice", *choose, "thrice").exit_code == 0
    assert dropped not in saved(Path("thrice"))["id"] and not Path("review.jsonl").exists()


def test_of_a_recipe_in_no_file_or_one_that_is_gone_they_go_into_the_present_folder(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert review_file(chosen / "run") == Path("review.jsonl")
    reviewing(chosen / "photos", tmp_path / "recipes" / "r.yaml")
    run(load_recipe(tmp_path / "recipes" / "r.yaml"), tmp_path / "run")
    assert review_file(tmp_path / "run") == Path("recipes/review.jsonl")
    shutil.rmtree(tmp_path / "recipes")
    assert review_file(tmp_path / "run") == Path("review.jsonl")
