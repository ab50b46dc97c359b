"""A cut that is foreseen over stored scores against what the engine decides when the recipe is run with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.data.files import seal
from augforge.engine.run import run
from augforge.recipe import parse_recipe
from augforge.view.cut import with_rule
from tests.view.made import FILTER, GENERATOR, MEASURE, noise

RECIPE = """
name: sharp
source: {{folder: {folder}}}
stages:
  - filter: sharpness
    {rule}
  - filter: quality
"""
SHARP = "1-filter-sharpness"
RULES = [
    ("min: 400", {"min": 900}),
    ("min: 900", {"min": 400}),
    ("outliers: 3.5", {"keep": 0.5}),
    ("keep: 0.5", {"keep": 0.8, "scope": "all"}),
    ("mean-minus-std: 1", {"mean-minus-std": 0}),
    ("max: 900", {"min": 300}),
    ("keep: 0.7", {"outliers": 1.0}),
]


def sharp(folder: Path, rule: str, out: Path) -> Path:
    """A run of pictures of noise, of which each is as sharp as it is."""
    run(parse_recipe(RECIPE.format(folder=folder, rule=rule)), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return noise(tmp_path_factory.mktemp("noise"), 30, seed=3)


def dropped(folder: Path) -> set[str]:
    rows = pq.read_table(folder / "samples.parquet", columns=["id", "dropped_by"]).to_pylist()
    return {row["id"] for row in rows if row["dropped_by"] == SHARP}


@pytest.mark.parametrize(("rule", "options"), RULES)
def test_who_comes_and_goes_is_who_does_when_the_recipe_is_run(opened, pictures, tmp_path, rule, options):
    page = opened(sharp(pictures, rule, tmp_path / "before"))
    told = page.post("/api/cut", {"stage": SHARP, "options": options})
    assert told.status_code == 200, told.text
    plain = parse_recipe(RECIPE.format(folder=pictures, rule=rule)).stages[0].options()
    kept = {name: value for name, value in with_rule(plain, options).items() if value is not None}
    lines = "\n    ".join(f"{name}: {value}" for name, value in kept.items())
    after = sharp(pictures, lines, tmp_path / "after")
    was, now = dropped(page.run.folder), dropped(after)
    found = told.json()
    assert was != now
    assert {*rows_of(page, found["come_query"])} == was - now and {*rows_of(page, found["go_query"])} == now - was
    assert (found["come"], found["go"], found["seen"]) == (len(was - now), len(now - was), 60)
    assert (found["stays"], found["goes"]) == (60 - len(now), len(now))
    assert page.get("/api/cut", stage=SHARP).json()["off"] == 0


def rows_of(page, query) -> list[str]:
    return [row["id"] for row in page.get(f"/api/query/{query}/rows", limit=1000).json()["rows"]]


def test_counts_of_classes_add_up_and_only_what_is_kept_leaves_the_dataset(thousand_page, thousand):
    rows = pq.read_table(thousand / "samples.parquet").to_pylist(maps_as_pydicts="strict")
    found = thousand_page.post("/api/cut", {"stage": FILTER, "options": {"min": 0.3}}).json()
    mine = [row for row in rows if row["origin"] == "synthetic"]
    go = [row for row in mine if 0.27 <= row["scores"][MEASURE] < 0.3]
    assert (found["seen"], found["go"], found["go_kept"], found["come"], found["notes"]) == (
        600,
        len(go),
        len(go),
        0,
        [],
    )
    for name in ("stays", "come", "go", "go_kept"):
        assert sum(each[name] for each in found["classes"]) == found[name]
    one = next(each for each in found["classes"] if each["label"] == "class 02")
    assert one["go"] == sum(row["label"] == "class 02" for row in go)
    lower = thousand_page.post("/api/cut", {"stage": FILTER, "options": {"min": 0.25}}).json()
    assert (lower["go"], lower["come"] > 0, len(lower["notes"])) == (0, True, 1)


def test_the_tries_to_refill_follow_from_the_share_that_is_accepted_then(opened, tmp_path):
    from tests.view.made import many

    folder = many(tmp_path / "run", 1000)
    rows = [
        row
        for row in pq.read_table(folder / "samples.parquet").to_pylist(maps_as_pydicts="strict")
        if row["scores"].get(MEASURE)
    ]
    rate = {"images": 100, "seconds": 50.0, "device": "cuda:0", "device-name": "a card"}
    (folder / "parts" / "x").mkdir(parents=True)
    (folder / "parts" / "x" / "rate.json").write_bytes(seal(rate))
    found = opened(folder).post("/api/cut", {"stage": FILTER, "options": {"min": 0.3}}).json()
    (cost,) = found["refill"]
    tries = 0
    for label in sorted({row["label"] for row in rows}):
        scores = np.array([row["scores"][MEASURE] for row in rows if row["label"] == label])
        lost, share = int(((scores >= 0.27) & (scores < 0.3)).sum()), (scores >= 0.3).mean()
        tries += lost * 10 if share == 0 else min(lost * 10, math.ceil(lost / share))
    assert (cost["stage"], cost["lost"], cost["tries"], cost["device"]) == (GENERATOR, found["go"], tries, "cuda:0")
    assert cost["made"] == 600 and cost["accepted"] - cost["accepted_then"] == found["go"]
    assert cost["seconds"] == pytest.approx(0.5 * tries)
    assert sum(each["tries"] for each in cost["classes"]) == tries


def test_a_cut_says_where_it_cannot_foresee_the_run(opened, tmp_path):
    """The ledger was decided by another rule than the recipe says now."""
    from tests.view.made import many

    folder = many(tmp_path / "run", 500)
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("min: 0.27", "min: 0.31"))
    told = opened(folder).get("/api/cut", stage=FILTER).json()
    assert told["off"] > 0 and told["exact"] is False and told["rule"] == {"min": 0.31}


@pytest.mark.parametrize(
    ("stage", "options", "status"),
    [
        ("9-filter-nothing", {}, 404),
        (GENERATOR, {}, 400),
        (FILTER, {"model": "other"}, 400),
        (FILTER, {"on": "all"}, 400),
        (FILTER, {"min": "high"}, 422),
        (FILTER, {"keep": 2}, 422),
        (FILTER, {"min": 0.2, "keep": 0.5}, 422),
        (FILTER, {"min": [1]}, 400),
    ],
)
def test_what_cannot_be_cut_is_refused(thousand_page, stage, options, status):
    assert thousand_page.post("/api/cut", {"stage": stage, "options": options}).status_code == status


def test_stages_say_whether_they_can_be_cut(thousand_page):
    stages = {stage["title"]: stage["why_no_cut"] for stage in thousand_page.get("/api/run").json()["stages"]}
    assert stages == {GENERATOR: "it is no filter by a score", FILTER: ""}


@pytest.mark.parametrize(
    ("options", "asked", "found"),
    [
        ({"keep": 0.5}, {"min": 1}, {"keep": None, "outliers": None, "mean-minus-std": None, "min": 1}),
        ({"max": 3}, {"min": 1}, {"max": 3, "min": 1, "keep": None, "outliers": None, "mean-minus-std": None}),
        ({"min": 3}, {"scope": "all"}, {"min": 3, "scope": "all"}),
        ({"min": 3}, {"min": None}, {"min": None}),
    ],
)
def test_one_rule_takes_the_place_of_another(options, asked, found):
    assert with_rule(options, asked) == found
