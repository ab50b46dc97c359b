"""The scorecard: the committed page is what the script makes of the results, and a malformed file is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.scorecard import PAGE, RESULTS, Malformed, comparisons, page

GOOD: dict[str, Any] = {
    "task": "classification", "data": "birds, 10 %", "stage": "select random", "arm": "random", "baseline": "all",
    "metric": "accuracy %", "seeds": [0, 1], "values": [51.0, 53.0], "baseline_values": [50.0, 50.0],
    "mean_difference": 2.0, "interval": [0.5, 3.5], "cpu_minutes": 1.25, "images": 1200, "command": "python -m x",
    "date": "2026-01-31",
}  # fmt: skip


def write(folder: Path, name: str, plain: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(plain))
    return folder


def test_the_committed_page_is_the_one_that_the_results_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run python -m scripts.scorecard"


def test_every_comparison_is_on_the_page_with_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, "one.json", GOOD)
    other = {**GOOD, "stage": "filter clip", "interval": [-1, 5], "task": "a|b", "seeds": 2}
    worse = {**GOOD, "stage": "filter clip", "arm": "hard", "lower_is_better": True}
    made = page(write(tmp_path, "two.json", [other, worse]))
    assert made.index("## filter clip") < made.index("## select random") and "3 comparisons" in made
    row = (
        "| classification | birds, 10 % | random | all | accuracy % | 52.0 | 50.0 | +2 (+0.5 to +3.5) | **better** | 2"
    )
    assert f"{row} | 1,200 | 1.2 |" in made
    assert "a\\|b" in made and "within noise" in made
    assert "| filter clip | a\\|b, classification | 0 | 1 | 1 | 1.2 |" in made
    assert "| [`two.json`](../benchmarks/results/two.json) | `python -m x` | 2026-01-31 |" in made


def test_a_single_seed_has_no_interval_and_no_verdict(tmp_path: Path) -> None:
    single = {**GOOD, "seeds": [0], "values": [51.0], "baseline_values": [50.0], "mean_difference": 1.0}
    made = page(write(tmp_path, "one.json", {**single, "interval": [None, None]}))
    assert "| +1 | within noise | 1 |" in made


def test_an_arm_of_no_stage_and_figures_in_shares_are_shown_too(tmp_path: Path) -> None:
    shares = {"values": [0.513, 0.531], "baseline_values": [0.5, 0.5], "mean_difference": 0.022}
    made = page(write(tmp_path, "one.json", {**GOOD, **shares, "stage": "", "interval": [-0.01, 0.05]}))
    assert "## none of the stages" in made and "| 0.522 | 0.5 | +0.022 (-0.01 to +0.05) | within noise |" in made


def test_no_results_make_an_empty_page(tmp_path: Path) -> None:
    assert "0 comparisons" in page(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"metric": None}, "metric is None"),
        ({"images": 3.5}, "images is 3.5, no int"),
        ({"values": [51.0]}, "values are not one finite number for each of 2 seeds"),
        ({"baseline_values": [50.0, float("nan")]}, "baseline_values are not"),
        ({"mean_difference": 2.5}, "the values differ by 2 on average"),
        ({"interval": [2.5, 3.5]}, "does not hold mean_difference"),
        ({"interval": [1.0]}, r"not \[low, high\]"),
        ({"interval": [None, 3.0]}, r"not \[low, high\]"),
        ({"cpu_minutes": -1}, "no sensible number"),
        ({"seeds": True}, "seeds is True"),
    ],
)
def test_what_is_malformed_is_said(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    write(tmp_path, "bad.json", [GOOD, {**GOOD, **change}])
    with pytest.raises(Malformed, match=rf"^bad.json: entry 1: .*{problem}"):
        comparisons(tmp_path)


def test_all_malformed_files_are_named_with_what_they_lack(tmp_path: Path) -> None:
    write(tmp_path, "a.json", {name: value for name, value in GOOD.items() if name not in ("task", "date")})
    write(tmp_path, "b.json", [[]])
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(Malformed) as error:
        comparisons(write(tmp_path, "d.json", GOOD))
    first, second, third = str(error.value).splitlines()
    assert first == "a.json: entry 0: it has no task, date" and third.startswith("c.json: no JSON")
    assert second == "b.json: entry 0: it is no mapping of fields"
