"""`filter: review` and `select: review`: decisions are applied again, and what cannot be applied is listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge import recipe as recipes
from augforge.cli.app import app
from augforge.data.reviewed import read_reviewed
from augforge.engine.run import run
from augforge.errors import EmptyResult, RecipeError, StoreError
from augforge.progress import Progress
from augforge.provenance.drift import causes, still_describes
from augforge.provenance.lineage import lineage_of
from augforge.provenance.lock import read_lock
from augforge.recipe import SourceSpec, build_stage, load_recipe
from augforge.report.reviews import review_notes
from augforge.review.log import append, review_digest
from tests.conftest import write_images
from tests.review.made import decide, line, rows
from tests.saved import saved
from tests.stub import Bright, Coin
from tests.test_laws import NoModels


class Told(Progress):
    """Keeps what stages say."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def about(self, text: str) -> None:
        self.lines.append(text)


STAGES = """
  - {filter: sharpness, keep: 0.5, on: all, scope: all}
  - {filter: review}
"""


def recipe_at(folder: Path, stages: str = STAGES) -> Path:
    """A recipe of six cats and four dogs in a folder of its own, so that the present folder is another one."""
    if not (folder / "pictures").exists():
        write_images(folder / "pictures", {"cat": 6, "dog": 4}, size=8)
    path = folder / "recipes" / "r.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"name: r\nsource: {{folder: {folder / 'pictures'}}}\nstages:{stages}")
    return path


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A recipe, its review file, which is not there yet, and its finished run: five of ten images are kept."""
    recipe = recipe_at(tmp_path)
    told = Told()
    summary = run(load_recipe(recipe), tmp_path / "run", progress=told)
    assert (summary.kept, summary.dropped) == (5, 5)
    assert any("nothing is decided yet" in text for text in told.lines)
    return recipe, recipe.with_name("review.jsonl"), tmp_path / "run"


def again(recipe: Path, out: Path) -> dict[str, dict]:
    """The ledger after the recipe ran again, which measured nothing."""
    summary = run(load_recipe(recipe), out, progress=NoModels())
    assert summary.computed == 0 and not summary.up_to_date
    return rows(out)


def test_a_drop_drops_with_the_reason_and_measures_nothing(place):
    recipe, file, out = place
    before = rows(out)
    kept = [i for i, row in before.items() if row["kept"]]
    decide(file, out, {kept[0]: {"verdict": "drop", "text": "blurred"}, kept[1]: {"verdict": "drop"}})
    after = again(recipe, out)
    assert (after[kept[0]]["dropped"], after[kept[0]]["dropped_by"]) == ("reviewed: blurred", "2-filter-review")
    assert after[kept[1]]["dropped"] == "reviewed: no reason given"
    assert {i for i in after if after[i] != before[i]} == set(kept[:2])


def test_a_keep_overrides_the_filters_before_and_not_those_after(tmp_path, place):
    recipe, file, out = place
    gone = sorted((i for i, row in rows(out).items() if not row["kept"]), key=lambda i: rows(out)[i]["scores"][0][1])
    decide(file, out, {gone[0]: {"verdict": "keep"}, gone[1]: {"verdict": "drop"}})
    after = again(recipe, out)
    assert after[gone[0]]["kept"] and after[gone[0]]["dropped"] is None and after[gone[0]]["dropped_by"] is None
    overruled = read_reviewed(out)["2-filter-review"]["overruled"]
    assert overruled.keys() == {gone[0]} and overruled[gone[0]]["stage"] == "1-filter-sharpness"
    assert after[gone[1]]["dropped_by"] == "1-filter-sharpness"  # it was gone before anybody decided
    least = dict(after[gone[1]]["scores"])["sharpness"]
    later = recipe_at(tmp_path, STAGES + f"  - {{filter: sharpness, min: {least + 1}, on: all}}\n")
    assert again(later, out)[gone[0]]["dropped_by"] == "3-filter-sharpness"


def test_a_keep_brings_back_nothing_that_a_selector_left_out(tmp_path, place):
    _, file, out = place
    recipe = recipe_at(tmp_path, "\n  - {select: random, count: 4, on: all}\n  - {filter: review}\n")
    run(load_recipe(recipe), out)
    left = next(i for i, row in rows(out).items() if row["dropped_by"] == "1-select-random")
    decide(file, out, {left: {"verdict": "keep"}})
    assert again(recipe, out)[left]["dropped_by"] == "1-select-random"


def test_a_relabel_changes_the_label_and_why_tells_the_old_one(place):
    recipe, file, out = place
    cat = next(i for i, row in rows(out).items() if row["label"] == "cat" and not row["kept"])
    decide(file, out, {cat: {"verdict": "relabel", "label": "dog", "text": "ears"}})
    decide(file, out, {cat: {"verdict": "note", "text": "look again"}}, who="bob", second=5)
    row = again(recipe, out)[cat]
    assert (row["label"], row["labelled_by"], row["kept"]) == ("dog", "2-filter-review, was cat", True)
    told = lineage_of(out, cat).row["reviewed"]
    assert [(one["who"], one["verdict"], one.get("was"), one["stage"]) for one in told] == [
        ("ann", "relabel", "cat", "2-filter-review"),
        ("bob", "note", None, "2-filter-review"),
    ]
    (found,) = [json.loads(one["provenance"]) for one in saved(out) if one["id"] == cat]
    assert found["labelled-by"] == "2-filter-review, was cat"
    assert told[0]["against"]["stage"] == "1-filter-sharpness" and "against" not in told[1]
    assert read_lock(out / "recipe.lock")["result"]["classes"]["dog"]["real"] == sum(
        row["kept"] and row["label"] == "dog" for row in rows(out).values()
    )


def test_a_label_that_is_no_class_is_refused_unless_it_may_be_new(tmp_path, place):
    recipe, file, out = place
    cat = next(i for i, row in rows(out).items() if row["kept"])
    decide(file, out, {cat: {"verdict": "relabel", "label": "dgo"}})
    with pytest.raises(RecipeError, match=r"ann relabelled .* as 'dgo', which is no class"):
        run(load_recipe(recipe), out)
    open_ = recipe_at(tmp_path, STAGES.replace("review}", "review, new-classes: true}"))
    assert again(open_, out)[cat]["label"] == "dgo"


def test_what_is_gone_changed_or_disagreed_on_is_counted_and_listed(place):
    recipe, file, out = place
    one, two, three = [i for i, row in rows(out).items() if row["kept"]][:3]
    decide(file, out, {one: {"verdict": "drop"}, two: {"verdict": "drop"}})
    decide(file, out, {two: {"verdict": "keep"}}, who="bob", second=1)
    append(file, [line(sample="gone00", second=2), line(sample=three, second=3, digest="0" * 64)])
    told = Told()
    run(load_recipe(recipe), out, progress=told)
    after = rows(out)
    assert not after[one]["kept"] and after[two]["kept"] and after[three]["kept"]
    did = read_reviewed(out)["2-filter-review"]
    assert (did["gone"], did["changed"], [each["id"] for each in did["conflicts"]]) == (["gone00"], [three], [two])
    assert did["digest"] == review_digest(file) and (did["dropped"], did["kept"], did["relabelled"]) == (1, 0, 0)
    counts = {"kept": 0, "dropped": 1, "relabelled": 0, "gone": 1, "changed": 1, "conflicts": 1, "unreadable": 0}
    assert json.loads((out / "facts.json").read_text())["2-filter-review"] == counts
    said = "\n".join(told.lines)
    notes = "\n".join(review_notes(out))
    assert "people decided, in review.jsonl: 0 kept, 1 dropped, 0 relabelled." in notes
    assert "1 reviewed images are gone: gone00." in notes and f"people disagree about 1 images: {two[:8]}." in notes
    for words in ("reviewed are gone: gone00", f"have other bytes now: {three[:8]}", f"are disagreed on: {two[:8]}"):
        assert words in said


def test_an_undo_and_a_changed_mind_decide_again(place):
    recipe, file, out = place
    one = next(i for i, row in rows(out).items() if row["kept"])
    for second, (verdict, kept) in enumerate([("drop", False), ("keep", True), ("undo", False), ("undo", True)]):
        decide(file, out, {one: {"verdict": verdict}}, second=second)
        assert again(recipe, out)[one]["kept"] == kept


def test_the_same_file_is_the_same_result_wherever_it_is_built(place, tmp_path):
    recipe, file, out = place
    kept = [i for i, row in rows(out).items() if row["kept"]]
    decide(file, out, {kept[0]: {"verdict": "drop"}})
    again(recipe, out)
    assert run(load_recipe(recipe), out).up_to_date
    run(load_recipe(recipe), tmp_path / "ci")
    assert rows(tmp_path / "ci") == rows(out)


def test_the_lock_records_the_digest_and_drift_names_the_file(place):
    recipe, file, out = place
    before = read_lock(out / "recipe.lock")
    kept = next(i for i, row in rows(out).items() if row["kept"])
    decide(file, out, {kept: {"verdict": "note", "text": "good"}})  # which changes no result
    again(recipe, out)
    now = read_lock(out / "recipe.lock")
    assert (before["review"], now["review"]) == ({"review.jsonl": ""}, {"review.jsonl": review_digest(file)})
    (drift,) = causes(before, now)
    assert (drift.kind, drift.what) == ("review", "review.jsonl") and not still_describes(before, now)


def test_a_damaged_file_ends_the_run_before_anything_is_read(place):
    recipe, file, out = place
    file.write_text('{"who": "ann"}\n')
    before = rows(out)
    with pytest.raises(StoreError, match=r"review.jsonl, line 1: key 'when' is missing"):
        run(load_recipe(recipe), out)
    assert rows(out) == before
    assert CliRunner().invoke(app, ["check", str(recipe)]).exit_code == 2


def test_exactly_the_marked_ones_are_chosen(place, tmp_path):
    _, file, out = place
    recipe = recipe_at(tmp_path, STAGES + "  - {select: review}\n")
    kept = [i for i, row in rows(out).items() if row["kept"]]
    gone = next(i for i, row in rows(out).items() if not row["kept"])
    decide(file, out, {kept[0]: {"verdict": "mark"}, kept[1]: {"verdict": "mark", "text": "hard"}})
    decide(file, out, {gone: {"verdict": "mark"}}, second=1)
    after = again(recipe, out)
    assert {i for i, row in after.items() if row["kept"]} == set(kept[:2])
    assert {after[i]["dropped"] for i in kept[2:]} == {"not marked"}
    hard = recipe_at(tmp_path, STAGES + "  - {select: review, mark: hard}\n")
    assert {i for i, row in again(hard, out).items() if row["kept"]} == {kept[1]}


def test_without_a_mark_nothing_is_left_and_the_run_says_so(place, tmp_path):
    recipe = recipe_at(tmp_path, STAGES + "  - {select: review}\n")
    with pytest.raises(EmptyResult, match="not marked"):
        run(load_recipe(recipe), place[2])


def test_an_image_that_cannot_be_read_is_not_brought_back(place):
    recipe, file, out = place
    gone = next(i for i, row in rows(out).items() if not row["kept"])
    decide(file, out, {gone: {"verdict": "keep"}})
    source = rows(out)[gone]["source"].split(" ", 1)[1].replace(": ", "/")

    class Breaks(Progress):
        def stage(self, title: str) -> None:
            if title == "2-filter-review":
                Path(source).write_bytes(b"no image any more")

    run(load_recipe(recipe), out, progress=Breaks())
    assert not rows(out)[gone]["kept"] and read_reviewed(out)["2-filter-review"]["unreadable"] == [gone]


def test_what_people_drop_is_made_up_for_until_enough_are_accepted(tmp_path):
    """Three of each class are asked for; of those that came a person drops two cats and brings back a dark dog."""
    folder, file = write_images(tmp_path / "pictures", {"cat": 2, "dog": 2}, size=8), tmp_path / "review.jsonl"
    review = build_stage("filter", "review", {"file": str(file)})
    coin = Coin.model_validate({"until-accepted": 3, "batch": 4})
    stages = (coin, Bright.model_validate({"min": 128, "on": "synthetic"}), review)
    recipe = recipes.Recipe("coin", 1, (SourceSpec("folder", str(folder)),), stages)
    run(recipe, tmp_path / "run")
    before = rows(tmp_path / "run")
    cats = [i for i, row in before.items() if row["label"] == "cat" and row["origin"] == "synthetic" and row["kept"]]
    dark = next(i for i, row in before.items() if row["label"] == "dog" and row["dropped_by"] == "2-filter-bright")
    assert len(cats) == 3
    drops = {i: {"verdict": "drop"} for i in cats[:2]}
    decide(file, tmp_path / "run", {**drops, dark: {"verdict": "keep"}})
    run(recipe, tmp_path / "run")
    after = rows(tmp_path / "run")
    for label in ("cat", "dog"):
        kept = [i for i, row in after.items() if row["label"] == label and row["origin"] == "synthetic" and row["kept"]]
        assert len(kept) == 3
    assert {after[i]["dropped_by"] for i in cats[:2]} == {"3-filter-review"}
    assert after[dark]["kept"] or after[dark]["dropped"] == "accepted, but enough were before it"
