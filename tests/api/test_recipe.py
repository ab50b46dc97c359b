"""Recipes built in Python: what a source and a stage may be, and that they are the same recipes as in YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.engine import run as engine
from augforge.progress import Progress
from augforge.recipe import parse_recipe
from augforge.stages.filters.clip import Clip
from augforge.stages.filters.sharpness import Sharpness

SHARP = {"filter": "sharpness", "keep": 0.5}


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("sample:digits", [{"sample": "digits"}]),
        ("hub:owner/name", [{"hub": "owner/name"}]),
        ({"folder": "x", "split": "train"}, [{"folder": "x", "split": "train"}]),
        ({"folder": 2024}, [{"folder": "2024"}]),
        (["sample:digits", {"folder": "x"}], [{"sample": "digits"}, {"folder": "x"}]),
        (("sample:digits",), [{"sample": "digits"}]),
    ],
)
def test_a_source_is_what_the_command_line_or_yaml_takes(source: Any, plain: list[dict[str, str]]) -> None:
    assert augforge.Recipe(source).sources == plain


def test_a_source_is_a_path_or_a_run_too(pictures: Path, tmp_path: Path) -> None:
    assert augforge.Recipe(pictures).sources == augforge.Recipe(str(pictures)).sources == [{"folder": str(pictures)}]
    run = augforge.Recipe(pictures, [SHARP]).run(tmp_path / "out")
    assert augforge.Recipe([run, pictures]).sources == [{"run": str(tmp_path / "out")}, {"folder": str(pictures)}]
    assert augforge.Recipe(run, [SHARP]).run(tmp_path / "next").ledger.num_rows == 11


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere"),
        (3, "source 1: 3 is no mapping"),
        (["sample:digits", None], "source 2: None is no mapping"),
    ],
)
def test_what_is_no_source_is_refused(source: Any, message: str) -> None:
    with pytest.raises(augforge.AugforgeError, match=message):
        augforge.Recipe(source)


def test_a_stage_is_a_mapping_or_an_object() -> None:
    mapped = {"filter": "clip", "keep": 0.5, "on": "synthetic"}
    made = [mapped, Clip(keep=0.5, on="synthetic"), augforge.stage("filter", "clip", keep=0.5, on="synthetic")]
    assert len({augforge.Recipe("sample:digits", [stage]) for stage in made}) == 1
    assert mapped == {"filter": "clip", "keep": 0.5, "on": "synthetic"}  # and is left as it was


@pytest.mark.parametrize("stages", ["clip", {"filter": "clip"}, 3, Sharpness()])
def test_stages_are_a_list(stages: Any) -> None:
    with pytest.raises(augforge.AugforgeError, match="stages: it is a list"):
        augforge.Recipe("sample:digits", stages)


def test_a_stage_takes_the_names_of_python() -> None:
    assert augforge.stage("filter", "sharpness", mean_minus_std=1).options()["mean-minus-std"] == 1
    assert augforge.stage("train", "night", as_="mine").options()["as"] == "mine"
    with pytest.raises(augforge.AugforgeError, match="filter clip: unknown key 'kep'") as caught:
        augforge.stage("filter", "clip", kep=0.5)
    assert caught.value.hint == "did you mean 'keep'?"
    with pytest.raises(augforge.AugforgeError, match=r"filter clip: key 'keep': it is at most 1, not 1\.5"):
        augforge.stage("filter", "clip", keep=1.5)


def test_it_is_the_recipe_that_yaml_is(tmp_path: Path) -> None:
    recipe = augforge.Recipe("sample:digits", [SHARP, {"select": "random", "share": 0.5}], name="x", seed=3)
    path = recipe.save(tmp_path / "x.yaml")
    assert augforge.Recipe.load(path) == recipe and hash(augforge.Recipe.load(path)) == hash(recipe)
    assert augforge.Recipe.load(path, seed=4) != recipe
    assert parse_recipe(recipe.yaml()).plain() == parse_recipe(path.read_text()).plain()
    assert (recipe.name, recipe.seed, [stage.verb for stage in recipe.stages]) == ("x", 3, ["filter", "select"])


def test_a_wrong_recipe_is_not_saved(tmp_path: Path) -> None:
    made = [{"generate": "shifts", "fold": 1}, {"split": "near-duplicates"}]
    with pytest.raises(augforge.AugforgeError, match="it comes after"):
        augforge.Recipe("sample:digits", made).save(tmp_path / "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


def test_a_recipe_that_cannot_be_written_says_so(pictures: Path) -> None:
    with pytest.raises(augforge.AugforgeError, match="cannot be written"):
        augforge.Recipe(pictures).save(next(pictures.rglob("*.png")) / "x.yaml")


def test_a_command_and_its_twin_write_the_same(pictures: Path, tmp_path: Path) -> None:
    command = ["filter", "sharpness", str(pictures), "--keep", "0.5", "--seed", "3", "--out", str(tmp_path / "cli")]
    assert CliRunner().invoke(app, command).exit_code == 0
    run = augforge.Recipe(pictures, [SHARP], seed=3).run(tmp_path / "api")
    cli = augforge.Run(tmp_path / "cli")
    assert run.ledger.equals(cli.ledger, check_metadata=True) and run.ledger.num_rows == 11
    for name in ("recipe.yaml", "recipe.lock", "README.md"):
        assert (tmp_path / "api" / name).read_bytes() == (tmp_path / "cli" / name).read_bytes()
    assert run.diff(cli).changes == ()


def test_a_plan_counts_and_shows_itself_as_a_table(pictures: Path, tmp_path: Path) -> None:
    recipe = augforge.Recipe(pictures, [{"generate": "shifts", "fold": 1, "per-class": 2}, SHARP])
    plan = recipe.plan(tmp_path / "out")
    assert [(row.stage, row.rows_in, row.rows_out) for row in plan][:2] == [("source", 11, 11), (plan[1].stage, 11, 17)]
    assert "<th>to compute</th>" in plan._repr_html_() and plan[1].stage in plan._repr_html_()
    recipe.run(tmp_path / "out")
    assert [row.todo for row in recipe.plan(tmp_path / "out")] == [0, 0, 0]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(pictures: Path, tmp_path: Path, limit: int) -> None:
    for wrong in (augforge.Recipe(pictures).plan, augforge.Recipe(pictures).run):
        with pytest.raises(augforge.AugforgeError, match=f"limit: {limit} is not at least 1"):
            wrong(tmp_path / "out", limit=limit)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_bad_images_is_a_share(pictures: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(augforge.AugforgeError, match=r"max_bad: .* is no share"):
        augforge.Recipe(pictures).run(tmp_path / "out", max_bad=share)


def test_every_option_reaches_the_engine(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def note(recipe: Any, out: Path, **options: Any) -> None:
        given.update(options, out=out)
        raise augforge.AugforgeError("that will do")

    monkeypatch.setattr(engine, "run", note)
    shown = Progress()
    with pytest.raises(augforge.AugforgeError, match="that will do"):
        augforge.Recipe(pictures).run(
            "out", device="cpu", limit=3, max_bad=0.5, store="s", lock="x.lock", retry="failed", progress=shown,
            replace=True, allow_empty=True, yes=True, flat=True, engine="processes", workers=3,
        )  # fmt: skip
    engine_given = given.pop("engine")
    assert (engine_given.name, engine_given.workers) == ("processes", 3)
    told = {"out": Path("out"), "store": Path("s"), "lock": Path("x.lock"), "progress": shown}
    told |= {"replace": True, "allow_empty": True, "flat": True}
    assert given == {"device": "cpu", "limit": 3, "max_bad": 0.5, "retry": "failed", "yes": True, **told}


def test_it_is_silent_unless_asked(pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = augforge.Recipe(pictures, [SHARP])
    recipe.run(tmp_path / "silent")
    assert capfd.readouterr() == ("", "")
    recipe.run(tmp_path / "told", progress=True)
    out, err = capfd.readouterr()
    assert out == "" and re.search(r"11 of 11 images, .*/s", err)


def test_a_lock_is_written_and_rebuilt(pictures: Path, tmp_path: Path) -> None:
    recipe = augforge.Recipe(pictures, [SHARP])
    run = recipe.lock(tmp_path / "x.lock", tmp_path / "out")
    assert run.lock["result"]["kept"] == run.summary.kept
    assert recipe.rebuild(tmp_path / "x.lock", tmp_path / "again").same
    other = augforge.Recipe(pictures, [{**SHARP, "keep": 0.9}])
    drifted = other.rebuild(tmp_path / "x.lock", tmp_path / "other")
    assert not drifted.same and any("keep" in drift.what for drift in drifted.causes)
    assert other.rebuild(tmp_path / "x.lock", tmp_path / "other", accept=True).same is False
    assert other.rebuild(tmp_path / "x.lock", tmp_path / "other").same
    with pytest.raises(augforge.AugforgeError, match="roughly"):
        recipe.rebuild(tmp_path / "x.lock", tmp_path / "other", level="roughly")


def test_it_shows_itself() -> None:
    recipe = augforge.Recipe({"folder": "<script>x</script>"}, [SHARP], name="a & b")
    assert repr(recipe) == "<Recipe 'a & b', seed 0: 1 source(s), filter sharpness>"
    shown = recipe._repr_html_()
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "a &amp; b" in shown
    assert (augforge.Recipe("sample:digits").name, augforge.Recipe("sample:digits", [SHARP]).name) == (
        "recipe",
        "filter-sharpness",
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"limit": "5"}, "limit: '5' is no whole number"),
        ({"limit": 5.5}, "limit: 5.5 is no whole number"),
        ({"out": None}, "out: None is no path"),
        ({"max_bad": "all"}, "max_bad: all is no share"),
    ],
)
def test_values_of_another_type_are_refused_in_words(pictures: Path, tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(augforge.AugforgeError) as caught:
        augforge.Recipe(pictures, []).run(**{"out": tmp_path / "out", **wrong})
    assert caught.value.message == message and not (tmp_path / "out").exists()
