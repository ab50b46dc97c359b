"""A folder that holds the result of another recipe is not written over; options may change, and that is said."""

from __future__ import annotations

import pytest

from augforge.engine.run import run
from augforge.errors import StoreError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.rebuild import rebuild
from tests.conftest import write_images
from tests.test_laws import rows


class Heard(Progress):
    """Keeps all remarks, and the titles of all bars."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: list[str] = []

    def bar(self, title: str, total: int, unit: str = "images"):
        self.bars.append(title)
        return super().bar(title, total, unit)

    def opening(self, text: str) -> None:
        self.lines.append(text)

    def say(self, text: str) -> None:
        self.lines.append(text)


def recipe(source, *stages, name="recipe"):
    built = tuple(build_stage(verb, stage, options) for verb, stage, options in stages)
    return Recipe(name, 1, (SourceSpec("folder", str(source)),), built)


SHIFTS = ("generate", "shifts", {"fold": 1, "per-class": 2})
SHARP = ("filter", "sharpness", {"keep": 0.5})


def test_another_command_does_not_replace_a_finished_run(tmp_path, pictures):
    out = tmp_path / "out"
    run(recipe(pictures, SHIFTS, name="generate-shifts"), out)
    before = rows(out)
    other = recipe(pictures, SHARP, name="filter-sharpness")
    with pytest.raises(StoreError, match=r"another recipe: generate shifts .* not filter sharpness") as caught:
        run(other, out)
    assert "--replace" in caught.value.hint and "another --out" in caught.value.hint
    assert rows(out) == before and caught.value.exit_code == 2
    heard = Heard()
    run(other, out, replace=True, progress=heard)
    assert "the result of another recipe is replaced" in heard.lines[0]
    assert set(rows(out)) < set(before) and not list((out / "parts").glob("generate-*"))


def test_another_source_is_another_recipe(tmp_path, pictures):
    more = write_images(tmp_path / "more", {"cat": 2}, seed=3)
    run(recipe(pictures, SHARP, name="filter-sharpness"), tmp_path / "out")
    with pytest.raises(StoreError, match="another recipe"):
        run(recipe(more, SHARP, name="filter-sharpness"), tmp_path / "out")


def test_changed_options_go_on_and_the_first_line_says_what_changed(tmp_path, pictures):
    out, heard, again = tmp_path / "out", Heard(), Heard()
    run(recipe(pictures, SHARP), out)
    done = run(recipe(pictures, ("filter", "sharpness", {"keep": 0.25})), out, progress=heard)
    assert done.computed == 0
    assert heard.lines[0] == f"{out}, changed since its last run: filter sharpness: keep 0.5 -> 0.25"
    run(recipe(pictures, ("filter", "sharpness", {"keep": 0.25})), out, progress=again)
    assert not again.lines  # nothing has changed, and nothing is to be done


def test_a_damaged_or_missing_recipe_is_written_again(tmp_path, pictures):
    out = tmp_path / "out"
    run(recipe(pictures, SHARP), out)
    for content in (b"\xff", b"stages: [", b""):
        (out / "recipe.yaml").write_bytes(content)
        run(recipe(pictures, SHARP), out)
        assert (out / "recipe.yaml").read_text().startswith("name: recipe")


def test_replace_takes_no_files_that_are_not_of_a_run(tmp_path, pictures):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="not of a run"):
        run(recipe(pictures, SHARP), tmp_path / "mine", replace=True)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_from_scratch_throws_away_neither_a_source_nor_another_recipe(tmp_path, pictures):
    out, lock = tmp_path / "out", tmp_path / "r.lock"
    run(recipe(pictures, SHARP), out, lock=lock)
    before = rows(out)
    own = Recipe("own", 1, (SourceSpec("run", str(out)),), (build_stage(*SHARP),))
    for other, message in ((own, "its own source"), (recipe(pictures, SHIFTS), "another recipe")):
        with pytest.raises(StoreError, match=message):
            rebuild(other, lock, out, from_scratch=True)
    assert rows(out) == before
    assert rebuild(recipe(pictures, SHARP), lock, out, from_scratch=True).same
