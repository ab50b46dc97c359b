"""`augforge review suggest` and `merge`, its Python twin, and the whole loop: decide, run again, lock, rebuild, why."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.engine.beside import default_who, is_followed, recipe_of, review_file
from augforge.errors import AugforgeError, RecipeError, StoreError
from augforge.review.log import append, read_review
from tests.conftest import write_images
from tests.review.made import line, rows


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, f"{arguments}: {result.output} {result.exception}"
    return " ".join(result.output.split())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a recipe in a folder of its own, and its run; five of ten images are kept."""
    write_images(tmp_path / "pictures", {"cat": 6, "dog": 4}, size=8)
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("recipes/r.yaml").write_text(
        "name: r\nsource: {folder: pictures}\nstages:\n"
        "  - {filter: sharpness, keep: 0.5, on: all}\n  - {filter: review}\n"
    )
    augforge.Recipe.load("recipes/r.yaml").run("run", lock="recipes/r.lock")
    return tmp_path


def test_the_whole_loop(place: Path) -> None:
    """Review, run again, commit, rebuild elsewhere from the lock, and ask why; a forgotten file is drift."""
    review = augforge.Review("run", recipe="recipes/r.yaml", who="Ann")
    assert review.file == Path("recipes/review.jsonl") and review.lines == []
    for each in review.look(6):
        review.decide(each.sample[:12], "drop" if each.kept else "keep", text="seen")
    assert len(review.look(6)) == 0 and len(review.look(10)) == 4
    call("run", "recipes/r.yaml", "--out", "run")
    known = rows(place / "run")
    for each in review.lines:
        assert known[each.sample]["kept"] == (each.verdict == "keep")
    rebuilt = call("rebuild", "recipes/r.yaml", "--locked", "--out", "ci")
    assert "review" not in rebuilt and rows(place / "ci") == known
    told = call("why", "ci", review.lines[0].sample)
    assert f"review {review.lines[0].verdict} by Ann, {review.lines[0].when}: seen" in told
    Path("recipes/review.jsonl").unlink()
    drift = call("rebuild", "recipes/r.yaml", "--locked", "--out", "forgotten", code=3)
    assert "review.jsonl" in drift


def test_suggestions_are_printed_and_are_json(place: Path) -> None:
    file = place / "mine.jsonl"
    known = rows(place / "run")
    by_score = sorted(known, key=lambda i: dict(known[i]["scores"])["sharpness"])
    verdicts = ["drop"] * 3 + ["keep"] * 7
    append(
        file, [line(sample=i, digest=known[i]["digest"], verdict=v) for i, v in zip(by_score, verdicts, strict=True)]
    )
    told = call("review", "suggest", "run", "--file", file)
    assert "1-filter-sharpness by sharpness: 10 reviewed, 7 good, 3 bad" in told
    assert "precision 100.0 % (59 to 100), recall 100.0 % (59 to 100)" in told and "more for +- 2 points" in told
    (found,) = json.loads(CliRunner().invoke(app, ["review", "suggest", "run", "--file", str(file), "--json"]).output)
    assert found["suggested"]["f1"] == 1.0 and found["now"]["kept"] == 5 and len(found["curve"]) == 10
    (twin,) = augforge.Review("run", file=file).suggest()
    assert twin.plain() == found
    assert "nothing to suggest" in call("review", "suggest", "run", "--file", "none.jsonl")
    call("review", "suggest", "run", "--file", file, "--precision", "2", code=2)


def test_files_are_merged_and_conflicts_are_listed(place: Path) -> None:
    for name, verdict in (("ann", "keep"), ("bob", "drop")):
        append(place / name, [line(who=name, verdict=verdict), line(who=name, sample="b2", second=1)])
    told = call("review", "merge", "ann", "bob", "-o", "both")
    assert "wrote 4 lines to both, of 2, 2" in told
    assert "people disagree about 1 image, and" in told and "a1 ann keep, bob drop" in told
    assert len(read_review(place / "both")) == 4
    call("review", "merge", "ann", "bob", "-o", "recipes/r.yaml", code=2)
    assert augforge.Review.merge(["both", "ann"], "both").conflicts[0].sample == "a1"
    with pytest.raises(RecipeError, match="a list of files"):
        augforge.Review.merge("both", "other")


def test_python_refuses_what_the_keyboard_cannot_say(place: Path) -> None:
    review = augforge.Review("run", file="x.jsonl", who="Ann")
    first = review.look(1)[0].sample
    with pytest.raises(StoreError, match="no sample"):
        review.decide("zz", "keep")
    with pytest.raises(RecipeError, match="no verdict"):
        review.decide(first, "maybe")
    with pytest.raises(RecipeError, match="needs a label"):
        review.decide(first, "relabel")
    assert review.lines == []
    review.decide(first, "relabel", label="dog")
    review.decide(first, "undo")
    assert [each.verdict for each in review.lines] == ["relabel", "undo"] and len(review.look(1)) == 1
    with pytest.raises(AugforgeError, match="no run folder"):
        augforge.Review("pictures").look(1)


def test_the_file_lies_where_the_recipe_does(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert review_file(place / "run") == Path("recipes/review.jsonl")  # from Python, too
    call("run", "recipes/r.yaml", "--out", "again", "--no-lock")
    (place / "again" / ".progress.json").write_text(
        json.dumps({"command": ["augforge", "run", "recipes/r.yaml", "--out", "again"], "cwd": str(place)})
    )
    assert recipe_of(place / "again") == Path("recipes/r.yaml")
    assert review_file(place / "again") == Path("recipes/review.jsonl")
    assert is_followed(place / "again", Path("recipes/review.jsonl"))
    assert not is_followed(place / "again", Path("review.jsonl"))
    assert review_file(place / "again", recipe=place / "r.yaml") == place / "review.jsonl"
    assert review_file(place / "again", file=Path("x")) == Path("x")
    monkeypatch.chdir(place / "recipes")
    assert review_file(place / "again") == Path("review.jsonl")


def test_who_is_who_git_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.CompletedProcess([], 0, "Ann Example\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    assert default_who() == "Ann Example"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert default_who()
