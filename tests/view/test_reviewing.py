"""Decisions that are made in the page: appended, counted, filtered by; the recipe that is changed; the run again."""

from __future__ import annotations

import json
import sys
from time import monotonic, sleep

import numpy as np
import pytest
import yaml
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import load_recipe
from augforge.review.lines import Line
from augforge.review.log import append, read_review
from augforge.view.jobs import Jobs
from augforge.view.refusals import Refusal
from tests.view.made import FILTER, RECIPE, digest, identity, many


def line(place: int, verdict: str, who: str = "Grace", label: str | None = None, text: str = "") -> Line:
    return Line(who, f"2026-01-01T00:00:{place % 60:02d}Z", identity(place), digest(place), verdict, label, text)


def test_a_decision_is_a_line_with_who_when_and_the_bytes_that_were_seen(thousand_page):
    answer = thousand_page.post(
        "/api/review", {"ids": [identity(3), identity(4)], "verdict": "drop", "text": "blurred"}
    )
    assert (answer.status_code, answer.json()) == (200, {"written": 2, "file": "review.jsonl"})
    lines = read_review(thousand_page.run.reviewed.path)
    assert [(one.who, one.sample, one.digest, one.verdict, one.text) for one in lines] == [
        ("Ada", identity(place), digest(place), "drop", "blurred") for place in (3, 4)
    ]
    row = thousand_page.get(f"/api/sample/{identity(3)}").json()
    assert row["verdict"] == "drop" and row["decisions"] == [lines[0].plain()]


def test_what_was_decided_is_found_by_filters_as_soon_as_it_is(thousand_page):
    assert thousand_page.ids(filters={"reviewed": True}) == []
    said = [(1, {"verdict": "keep"}), (2, {"verdict": "drop"}), (5, {"verdict": "relabel", "label": "class 09"})]
    said += [(6, {"verdict": "mark"}), (7, {"verdict": "note", "text": "see"})]
    for place, body in said:
        assert thousand_page.post("/api/review", {"ids": [identity(place)], **body}).status_code == 200
    append(thousand_page.run.reviewed.path, [line(2, "keep"), line(8, "drop")])
    ask = thousand_page.ids
    assert ask(filters={"verdict": ["keep"]}) == [identity(1)]
    assert ask(filters={"verdict": ["drop", "conflict"]}) == [identity(2), identity(8)]
    assert ask(filters={"reviewed": True}) == [identity(place) for place in (1, 2, 5, 8)]
    assert ask(filters={"marked": True}) == [identity(6)] and ask(filters={"noted": True}) == [identity(7)]
    assert ask(filters={"who": ["Grace"]}) == [identity(2), identity(8)]
    assert len(ask(filters={"verdict": ["none"]})) == 996
    told = thousand_page.get("/api/review").json()
    assert told["verdicts"] == {"keep": 1, "drop": 1, "relabel": 1, "conflict": 1}
    assert (told["lines"], told["reviewed"], told["conflicts"], told["gone"]) == (7, 4, 1, 0)
    (conflict,) = thousand_page.get("/api/review/conflicts").json()["conflicts"]
    assert conflict["sample"]["id"] == identity(2) and {one["who"] for one in conflict["lines"]} == {"Ada", "Grace"}
    thousand_page.post("/api/review", {"ids": [identity(2)], "verdict": "undo"})
    assert ask(filters={"verdict": ["keep"]}) == [identity(1), identity(2)]


def test_all_of_a_query_can_be_decided_at_once(thousand_page):
    found = thousand_page.ask(filters={"label": ["class 03"]})
    answer = thousand_page.post("/api/review", {"query": found["query"], "verdict": "drop"})
    assert answer.json()["written"] == found["total"] > 10
    assert thousand_page.ids(filters={"verdict": ["drop"]}) == thousand_page.ids(filters={"label": ["class 03"]})


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "drop"},
        {"ids": [], "verdict": "drop"},
        {"ids": ["nobody"], "verdict": "drop"},
        {"ids": [identity(1)], "query": "q-1", "verdict": "drop"},
        {"ids": [identity(1)], "verdict": "burn"},
        {"ids": [identity(1)], "verdict": "relabel"},
        {"ids": [identity(1)], "verdict": "note"},
        {"ids": [identity(1)], "verdict": "keep", "label": "class 09"},
        {"ids": [identity(1)], "verdict": "keep", "who": "Mallory"},
        {"query": "q-unknown", "verdict": "drop"},
    ],
)
def test_what_is_no_decision_is_refused_and_nothing_is_written(thousand_page, body):
    assert thousand_page.post("/api/review", body).status_code in (400, 404)
    assert not thousand_page.run.reviewed.path.exists()


def test_a_text_cannot_become_a_second_line(thousand_page):
    evil = 'x"}\n{"who": "root"'
    assert thousand_page.post("/api/review", {"ids": [identity(1)], "verdict": "note", "text": evil}).status_code == 200
    (only,) = read_review(thousand_page.run.reviewed.path)
    assert (only.who, only.text) == ("Ada", evil)


def test_a_file_that_is_torn_is_told_of(thousand_page):
    thousand_page.run.reviewed.path.write_text('{"who": "Ada"')
    answer = thousand_page.get("/api/review")
    assert (answer.status_code, answer.json()["kind"]) == (422, "augforge") and "torn" in answer.json()["error"]


def test_what_to_look_at_next_leaves_out_what_was_decided(thousand_page):
    first = thousand_page.get("/api/review/next", count=5).json()
    assert len(first["ids"]) == 5 == len(set(first["ids"]))
    thousand_page.post("/api/review", {"ids": first["ids"][:2], "verdict": "keep"})
    again = thousand_page.get("/api/review/next", count=5).json()["ids"]
    assert len(again) == 5 and not {*first["ids"][:2]} & {*again}
    assert thousand_page.get("/api/review/next", by="colour").status_code == 422


def test_cuts_are_suggested_by_what_was_decided(thousand_page):
    scores = thousand_page.run.index.score("clip-prompt")
    good = [row for row in range(400, 600) if scores[row] >= 0.29]
    bad = [row for row in range(400, 600) if scores[row] < 0.29]
    for verdict, rows in (("keep", good), ("drop", bad)):
        thousand_page.post("/api/review", {"ids": [identity(row) for row in rows], "verdict": verdict})
    told = thousand_page.get("/api/review/suggestions").json()["suggestions"]
    (mine,) = [each for each in told if each["stage"] == FILTER]
    assert mine["reviewed"] == 200
    assert scores[bad].max() < mine["suggested"]["at"] <= scores[good].min()
    assert thousand_page.get("/api/review/suggestions", precision="x").status_code == 400


@pytest.fixture
def written(opened, tmp_path):
    """A run whose recipe lies beside it, with a comment."""
    folder = many(tmp_path / "run", 200)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("min: 0.27", "min: 0.27  # by eye"))
    return opened(folder, recipe=recipe), recipe


def test_a_cut_is_shown_as_a_diff_and_then_saved_with_every_comment(written):
    page, recipe = written
    before = recipe.read_text()
    wanted = {"stage": FILTER, "options": {"min": 0.31}}
    shown = page.post("/api/recipe/preview", wanted).json()
    assert "-    min: 0.27  # by eye" in shown["diff"] and "+    min: 0.31  # by eye" in shown["diff"]
    assert recipe.read_text() == before
    saved = page.post("/api/recipe/save", {**wanted, "version": shown["version"]})
    assert saved.json()["diff"] == shown["diff"]
    assert recipe.read_text() == before.replace("0.27", "0.31")
    late = page.post("/api/recipe/save", {"stage": FILTER, "options": {"min": 0.4}, "version": shown["version"]})
    assert (late.status_code, late.json()["kind"]) == (409, "conflict")
    assert recipe.read_text() == before.replace("0.27", "0.31")


def test_another_rule_takes_the_place_of_the_one_that_is_there(written):
    page, recipe = written
    shown = page.post("/api/recipe/preview", {"stage": FILTER, "options": {"keep": 0.5, "min": None}}).json()
    page.post("/api/recipe/save", {"stage": FILTER, "options": {"keep": 0.5, "min": None}, "version": shown["version"]})
    stage = yaml.safe_load(recipe.read_text())["stages"][1]
    assert stage["keep"] == 0.5 and "min" not in stage


@pytest.mark.parametrize("options", [{"model": "evil"}, {"on": "all"}, {"min": "x"}, {"keep": 3}, {"nothing": 1}])
def test_only_options_that_decide_can_be_saved(written, options):
    page, recipe = written
    before = recipe.read_text()
    version = page.post("/api/recipe/preview", {"stage": FILTER, "options": {"min": 0.3}}).json()["version"]
    assert page.post("/api/recipe/preview", {"stage": FILTER, "options": options}).status_code in (400, 422)
    saved = page.post("/api/recipe/save", {"stage": FILTER, "options": options, "version": version})
    assert saved.status_code in (400, 422) and recipe.read_text() == before


def test_without_a_recipe_nothing_is_saved_or_run(thousand_page):
    assert thousand_page.post("/api/recipe/preview", {"stage": FILTER, "options": {"min": 0.3}}).status_code == 400
    assert thousand_page.post("/api/job", {"kind": "run"}).status_code == 400
    assert thousand_page.get("/api/job").json()["state"] == "none"


def program(code: str) -> tuple[str, ...]:
    """What is run in place of augforge."""
    return (sys.executable, "-c", code)


def until(jobs: Jobs, state: str) -> dict:
    """What a job tells once it is in a state."""
    end = monotonic() + 30
    while (told := jobs.plain())["state"] != state:
        assert monotonic() < end, told
        sleep(0.02)
    return told


def test_a_run_in_the_background_ends_well(tmp_path):
    called = []
    jobs = Jobs(
        tmp_path, lambda: called.append(1), program("import json, sys; print(json.dumps({'kept': sys.argv[1:]}))")
    )
    jobs.start(tmp_path / "r.yaml")
    told = until(jobs, "done")
    assert told["summary"]["kept"] == ["run", str(tmp_path / "r.yaml"), "--out", str(tmp_path), "--json"]
    assert called == [1] and told["ended"] >= told["started"] and told["command"].startswith("augforge run ")


def test_a_run_that_fails_says_why(tmp_path):
    jobs = Jobs(tmp_path, lambda: pytest.fail("it did not end well"), program("raise SystemExit('no such class')"))
    jobs.start(tmp_path / "r.yaml")
    assert until(jobs, "failed")["message"] == "no such class"


def test_one_run_at_a_time_and_it_can_be_stopped(tmp_path):
    jobs = Jobs(tmp_path, lambda: None, program("import time; time.sleep(60)"))
    jobs.start(tmp_path / "r.yaml")
    with pytest.raises(Refusal, match="under way"):
        jobs.start(tmp_path / "r.yaml")
    jobs.stop()
    until(jobs, "stopped")
    jobs.stop()


def test_a_run_that_was_written_again_is_opened_again(opened, tmp_path):
    folder = many(tmp_path / "run", 50)
    page = opened(folder)
    before, query = page.run.index.revision, page.ask()["query"]
    (folder / "samples.parquet").unlink()
    many(tmp_path / "other", 60)
    (tmp_path / "other" / "samples.parquet").rename(folder / "samples.parquet")
    page.served.reopen()
    assert page.get("/api/job").json()["revision"] != before
    assert page.get("/api/run").json()["rows"] == 60
    assert page.get(f"/api/query/{query}/rows").json()["kind"] == "gone"
    assert json.dumps(page.get("/api/job").json())


@pytest.mark.slow
def test_a_cut_that_is_saved_and_run_again_is_the_one_that_was_foreseen(opened, tmp_path):
    """With the real command, in a process of its own, as the page does it."""
    random = np.random.default_rng(5)
    for number in range(24):
        noise = random.normal(128, 2 + 2 * number, (32, 32, 3)).clip(0, 255).astype(np.uint8)
        (tmp_path / "pictures" / "a").mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "pictures" / "a" / f"{number}.png")
    recipe, folder = tmp_path / "recipe.yaml", tmp_path / "run"
    source = json.dumps(str(tmp_path / "pictures"))
    recipe.write_text(f"source: {{folder: {source}}}\nstages:\n  - filter: sharpness\n    min: 300  # a guess\n")
    run(load_recipe(recipe), folder, device="cpu")
    page = opened(folder, recipe=recipe)
    wanted = {"stage": "1-filter-sharpness", "options": {"min": 900}}
    foreseen = page.post("/api/cut", wanted).json()
    gone = {row["id"] for row in page.get(f"/api/query/{foreseen['go_query']}/rows").json()["rows"]}
    version = page.post("/api/recipe/preview", wanted).json()["version"]
    assert page.post("/api/recipe/save", {**wanted, "version": version}).status_code == 200
    before = page.get("/api/job").json()
    kept = set(page.ids(filters={"kept": True}))
    assert page.post("/api/job", {"kind": "run"}).status_code == 202
    assert page.post("/api/job", {"kind": "run"}).status_code == 409
    end = monotonic() + 240
    while (told := page.get("/api/job").json())["state"] == "running":
        assert monotonic() < end, told
        sleep(0.2)
    assert told["state"] == "done", told
    assert told["revision"] != before["revision"] and told["summary"]["kept"] == len(kept) - len(gone)
    assert {*page.ids(filters={"kept": True})} == kept - gone and 0 < len(gone) < len(kept)
    assert "min: 900  # a guess" in recipe.read_text()
