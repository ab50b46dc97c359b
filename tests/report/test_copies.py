"""Generated images beside what they are nearest to, and what stages say of themselves, in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augforge.data.nearest import Nearest, nearest_table, read_all_nearest, read_nearest, write_nearest
from augforge.engine.run import run
from augforge.errors import StoreError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report.collect import collect
from augforge.report.columns import overview
from augforge.report.copies import copies_of
from augforge.report.thumbnails import in_order
from augforge.report.write import write_report
from tests.conftest import write_images

JUDGE = {"model": "builtin-clip"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies")
    source = SourceSpec("folder", str(write_images(folder / "set", {"cat": 4, "dog": 4})))
    stages = (
        build_stage("generate", "shifts", {"per-class": 4}),
        build_stage("filter", "memorised", {**JUDGE, "keep": 0.5}),
        build_stage("filter", "preference", {**JUDGE, "prompt": "photo", "keep": 0.9, "any-class": True}),
    )
    run(Recipe("copies", 1, (source,), stages), folder / "out")
    return folder / "out"


def test_pairs_are_those_that_the_run_found_the_most_similar_first(finished: Path) -> None:
    findings = collect(finished)
    ids = findings.rows.column("id").to_pylist()
    assert len(findings.copies) == len(read_all_nearest(finished)) >= 4
    similarities = [pair.similarity for pair in findings.copies]
    assert similarities == sorted(similarities, reverse=True)
    for pair in findings.copies:
        (near,) = read_nearest(finished, ids[pair.row])
        assert (near["id"], near["similarity"], near["relation"]) == (ids[pair.other], pair.similarity, pair.relation)
        assert pair.stage == "2-filter-memorised"
    told = overview(findings)
    assert told["copies"][0]["row"] == findings.copies[0].row
    assert told["facts"]["3-filter-preference"].keys() == {"scale", "scale by"}


def test_what_is_not_shown_or_not_of_this_run_is_no_pair(finished: Path, tmp_path: Path) -> None:
    rows = collect(finished).rows
    first, second, third = rows.column("id").to_pylist()[:3]
    near = [Nearest(second, "training", 0.9), Nearest("elsewhere", "training", 0.95), Nearest(first, "parent", 0.8)]
    write_nearest(tmp_path, {"s": [nearest_table("s", [first, second, third], near)]})
    shown = np.zeros(len(rows), dtype=bool)
    assert [(pair.row, pair.other) for pair in copies_of(tmp_path, rows, shown)] == [(0, 1), (2, 0)]
    hidden = shown.copy()
    hidden[1] = True
    assert [(pair.row, pair.other) for pair in copies_of(tmp_path, rows, hidden)] == [(2, 0)]
    assert copies_of(tmp_path / "none", rows, shown) == []
    (tmp_path / "nearest.parquet").write_bytes(b"no parquet")
    with pytest.raises(StoreError, match="damaged"):
        copies_of(tmp_path, rows, shown)


def test_pairs_have_thumbnails_before_all_others(finished: Path) -> None:
    findings = collect(finished)
    order, pair = list(in_order(findings)), findings.copies[0]
    assert order.index(pair.other) < order.index(pair.row) < 6


def test_the_page_shows_pairs_and_facts(finished: Path, tmp_path: Path, opened: Callable[..., Any]) -> None:
    write_report(finished, tmp_path / "report.html")
    page = opened(tmp_path / "report.html")
    pairs = page.locator("#copies .pair")
    assert pairs.count() == min(12, len(collect(finished).copies))
    assert pairs.first.locator(".card").count() == 2
    assert "most similar first" in page.locator("#copies-lead").inner_text()
    told = page.locator("#copies").inner_text()
    assert "its parent" in told or "a training image" in told
    assert "scale by" in page.locator("#facts").inner_text()
    pairs.first.locator(".card").first.click()
    assert page.locator("#detail").is_visible()
