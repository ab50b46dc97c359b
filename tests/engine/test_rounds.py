"""Until so many are accepted: exactly so many, the first ones, whatever interrupts; and what cannot be counted by."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augforge.cli.app import app
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage, parse_recipe
from augforge.recipe.acceptance import ENOUGH
from tests.conftest import write_images
from tests.stub import Bright, Coin
from tests.test_laws import Crash, CrashAt, NoModels


def recipe(source: Path, *more, bar: float = 128, **options) -> Recipe:
    stages = (Coin(**{"batch": 4, **options}), Bright(on="synthetic", min=bar), *more)
    return Recipe("until", 1, (SourceSpec("folder", str(source)),), stages)


@pytest.fixture
def two(tmp_path) -> Path:
    return write_images(tmp_path / "two", {"cat": 3, "dog": 2}, size=8)


def synthetic(out: Path) -> list[dict]:
    rows = pq.read_table(out / "samples.parquet").to_pylist()
    return [row | {"sampled_params": json.loads(row["sampled_params"])} for row in rows if row["origin"] == "synthetic"]


def in_order(rows: list[dict]) -> list[dict]:
    """A class's tries as they were planned: every parent once, in the order of the first turn, then again."""
    turns = [row["parents"][0] for row in rows if row["sampled_params"]["variant"] == 0]
    return sorted(rows, key=lambda row: (row["sampled_params"]["variant"], turns.index(row["parents"][0])))


SHARES = [{"cat": 1.0, "dog": 1.0}, {"cat": 0.5, "dog": 0.9}, {"cat": 0.2, "dog": 0.0}, {"cat": 0.05, "dog": 0.6}]


@pytest.mark.parametrize("shares", SHARES, ids=str)
@pytest.mark.parametrize("wanted", [1, 7, 20])
def test_exactly_so_many_are_kept_or_all_tries_were_made(two, tmp_path, shares, wanted):
    run(recipe(two, until_accepted=wanted, shares=shares, max_tries=6), tmp_path / "out")
    for label in shares:
        tries = in_order([row for row in synthetic(tmp_path / "out") if row["label"] == label])
        good = [row["id"] for row in tries if row["sampled_params"]["bright"]]
        assert [row["id"] for row in tries if row["kept"]] == good[:wanted]
        assert len(good) >= wanted or len(tries) == 6 * wanted
        assert len(tries) <= 6 * wanted
        reasons = Counter(row["dropped"] for row in tries if not row["kept"])
        assert reasons["bright: under 128"] == len(tries) - len(good)
        assert reasons[ENOUGH] == max(0, len(good) - wanted)
        assert sum(reasons.values()) + min(wanted, len(good)) == len(tries)


def test_few_tries_are_made_in_vain(two, tmp_path):
    run(recipe(two, until_accepted=40, share=0.5), tmp_path / "out")
    for label in ("cat", "dog"):
        tries = in_order([row for row in synthetic(tmp_path / "out") if row["label"] == label])
        needed = 1 + [n for n, row in enumerate(tries) if row["kept"]][-1]
        assert 60 < needed <= len(tries) < 1.3 * needed


def test_the_rows_of_the_summary_reconcile(two, tmp_path):
    summary = run(recipe(two, until_accepted=9, shares={"cat": 0.4, "dog": 0.1}, max_tries=3), tmp_path / "out")
    source, made, judged = summary.work
    assert (source["out"], made["in"], judged["in"]) == (5, 5, made["out"])
    assert judged["out"] == summary.kept and made["out"] == summary.kept + summary.dropped
    assert made["generated"] == judged["measured"] == made["out"] - 5
    assert made["reused"] == judged["reused"] == 0


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        self.notes.append(text)


def test_the_class_that_falls_short_is_named(two, tmp_path):
    said = Notes()
    options = {"until_accepted": 5, "shares": {"cat": 1.0, "dog": 0.0}, "max_tries": 3}
    summary = run(recipe(two, **options), tmp_path / "out", progress=said)
    assert said.notes[-1] == "coin: class 'dog': 0 of 5 accepted after 15 tries, 5 fewer than asked for"
    assert summary.work[1]["short"] == {"dog": 5}
    assert not any("'cat'" in note for note in said.notes)


def test_a_second_run_computes_nothing_even_if_it_must_write_again(two, tmp_path):
    asked = recipe(two, until_accepted=9, share=0.3)
    first = run(asked, tmp_path / "out")
    assert run(asked, tmp_path / "out").up_to_date
    shutil.rmtree(tmp_path / "out" / "dataset")

    class Quiet(NoModels):
        def say(self, text: str) -> None:
            assert "accepted" in text or "is missing; the result is written again" in text

    again = run(asked, tmp_path / "out", progress=Quiet())
    assert again.computed == 0 and (again.kept, again.reasons) == (first.kept, first.reasons)
    assert again.work[1]["reused"] == first.work[1]["generated"]


def test_a_run_that_broke_ends_as_one_that_did_not(two, tmp_path):
    asked = recipe(two, until_accepted=9, shares={"cat": 0.4, "dog": 0.2})
    run(asked, tmp_path / "whole")
    broken = 0
    for after in range(1, 16):
        try:
            run(asked, tmp_path / "broken", progress=CrashAt(after))
        except Crash:
            broken += 1
    run(asked, tmp_path / "broken")
    assert broken >= 5
    assert synthetic(tmp_path / "broken") == synthetic(tmp_path / "whole")


def test_more_only_adds(two, tmp_path):
    run(recipe(two, until_accepted=4, share=0.4), tmp_path / "out")
    few = {row["id"] for row in synthetic(tmp_path / "out") if row["kept"]}
    tried = {row["id"] for row in synthetic(tmp_path / "out")}
    more = run(recipe(two, until_accepted=12, share=0.4), tmp_path / "out")
    assert few < {row["id"] for row in synthetic(tmp_path / "out") if row["kept"]}
    assert more.work[1]["generated"] == len({row["id"] for row in synthetic(tmp_path / "out")} - tried)


def test_batch_size_and_rounds_do_not_matter(two, tmp_path):
    kept = []
    for batch in (1, 5, 64):
        run(recipe(two, until_accepted=11, share=0.3, batch=batch), tmp_path / str(batch))
        kept.append([row["id"] for row in synthetic(tmp_path / str(batch)) if row["kept"]])
    assert kept[0] == kept[1] == kept[2]


def test_where_a_batch_counts_no_image_is_made_twice(two, tmp_path):
    summary = run(recipe(two, until_accepted=6, share=0.3, coupled=True), tmp_path / "out")
    tries = synthetic(tmp_path / "out")
    assert summary.work[1]["generated"] == len(tries)
    assert all(len(row["sampled_params"]["batch-of"]) == 4 for row in tries)
    assert Counter(row["label"] for row in tries if row["kept"]) == {"cat": 6, "dog": 6}


def test_all_filters_after_it_accept_and_a_later_one_does_not_count(two, tmp_path):
    from augforge.stages.selectors.random import Random

    second = Bright(on="synthetic", max=206)  # the mean of noise about 204: not all
    summary = run(recipe(two, second, Random(on="synthetic", share=0.5), until_accepted=8, share=0.6), tmp_path / "out")
    stages = [row["stage"] for row in summary.work]
    assert stages == ["source", "1-generate-coin", "2-filter-bright", "3-filter-bright", "4-select-random"]
    assert summary.work[3]["out"] == summary.work[4]["in"] == 5 + 16 and summary.kept == 5 + 8
    assert {row["dropped"] for row in synthetic(tmp_path / "out")} >= {"bright: over 206", "bright: under 128"}


def test_a_class_without_images_falls_short(two, tmp_path):
    (two / "none").mkdir()
    summary = run(recipe(two, until_accepted=3, share=1.0), tmp_path / "out")
    assert summary.work[1]["short"] == {"none": 3}


def test_what_cannot_be_counted_by_is_refused(two, tmp_path):
    head = f"source: {{folder: {two}}}\nstages:\n  - generate: shifts\n    until-accepted: 5\n"
    parse_recipe(head + "  - filter: sharpness\n    min: 3\n")
    parse_recipe(head + "  - filter: degenerate\n")
    parse_recipe(head + "  - filter: sharpness\n    min: 3\n  - filter: duplicates\n  - {select: random, share: 0.5}\n")
    for rest, message in (
        ("", "until-accepted needs a filter right after it"),
        ("  - {select: random, share: 0.5}\n  - filter: sharpness\n    min: 3\n", "needs a filter right after it"),
        ("  - filter: sharpness\n    min: 3\n    on: real\n", "needs a filter right after it"),
        ("  - filter: sharpness\n", "cannot count what `filter: sharpness` accepts"),
        ("  - filter: sharpness\n    keep: 0.9\n", "cannot count what `filter: sharpness` accepts"),
        ("  - filter: degenerate\n  - filter: sharpness\n    mean-minus-std: 1\n", "cannot count"),
        ("  - filter: weight-unicon\n    min: 0.5\n", "cannot count what `filter: weight-unicon` accepts"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_recipe(head + rest)
    with pytest.raises(RecipeError, match="needs a filter"):
        run(Recipe("x", 1, (SourceSpec("folder", str(two)),), (Coin(until_accepted=3),)), tmp_path / "out")
    with pytest.raises(RecipeError, match="exclude each other"):
        build_stage("generate", "shifts", {"until-accepted": 3, "per-class": 3})
    with pytest.raises(RecipeError, match="max-tries goes with until-accepted"):
        build_stage("generate", "shifts", {"max-tries": 3})


def test_a_plan_says_that_it_cannot_know(two):
    rows = plan_run(recipe(two, until_accepted=6))
    assert rows[1].rows_out == 5 + 12 and not rows[2].exact


def test_the_command_takes_its_filters_along(two, tmp_path):
    from typer.testing import CliRunner

    def call(*more: str):
        words = ["generate", "shifts", str(two), "--size", "16", "--until-accepted", "2", *more]
        return CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--json"])

    done = call("--accept", "sharpness min=1", "--accept", "degenerate")
    assert done.exit_code == 0, done.output
    kept = [row for row in synthetic(tmp_path / "out") if row["kept"]]
    assert Counter(row["label"] for row in kept) == {"cat": 2, "dog": 2}
    alone = call()
    assert alone.exit_code == 2 and "--accept 'clip min=0.2'" in alone.output
    assert "'loose' is no option" in call("--accept", "sharpness loose").output
    assert "did you mean 'sharpness'?" in call("--accept", "sharpnes").output
