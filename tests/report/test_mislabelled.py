"""Label errors in the report: the given label beside the suggested one, and a list of corrections to save."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from augforge.data.label_errors import LabelError, write_label_errors
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report import write_report
from augforge.report.collect import collect
from augforge.report.thumbnails import in_order
from tests.conftest import write_images
from tests.report.browsing import needs_chromium
from tests.report.runs import many_samples

EVIL = "</script><b>'\",=1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose list of label errors names three of its samples, one of them gone from the ledger."""
    folder = many_samples(tmp_path_factory.mktemp("mislabelled") / "run", 40)
    rows = collect(folder).rows.to_pylist()
    named = [(rows[7], 0.3), (rows[3], 0.1)]
    errors = [
        LabelError(row["id"], f"train: {place}.png", row["label"], EVIL, 0.75, quality, "1-select-noisy-labels")
        for place, (row, quality) in enumerate(named)
    ]
    write_label_errors(folder, [*errors, replace(errors[0], id="f" * 64)])
    return folder


def test_the_worst_come_first_and_what_is_not_in_the_ledger_is_left_out(folder):
    findings = collect(folder)
    assert [row for row, _ in findings.mislabelled] == [3, 7]
    assert list(in_order(findings))[:2] == [3, 7]
    assert sorted(in_order(findings)) == sorted(in_order(replace(findings, mislabelled=[])))


def test_a_withheld_image_is_not_listed(folder, monkeypatch):
    import numpy as np

    from augforge.report import collect as module

    def withheld(rows):
        flags = np.zeros(len(rows), dtype=bool)
        flags[3] = True
        return flags, np.zeros(len(rows), dtype=bool)

    monkeypatch.setattr(module, "withheld", withheld)
    assert [row for row, _ in collect(folder).mislabelled] == [7]


@needs_chromium
def test_both_labels_are_shown_and_corrections_are_saved(folder, opened, tmp_path):
    page = opened(write_report(folder).path)
    section = page.locator("#mislabelled")
    first = section.locator("li").first
    assert f"likely {EVIL}" in first.inner_text() and "75.0" in first.inner_text()
    choice = first.get_by_label("The right label")
    assert choice.input_value() == EVIL
    given = collect(folder).rows.column("label").to_pylist()[3]
    choice.select_option(given)
    with page.expect_download() as waiting:
        section.get_by_role("button", name="Save the corrections").click()
    waiting.value.save_as(tmp_path / "corrections.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "corrections.csv").read_text())))
    assert [line["corrected"] for line in lines] == [given, EVIL]
    assert lines[0]["label"] == given and lines[0]["source"] == "train: 1.png"
    first.locator(".card").first.click()
    assert page.locator("#detail").is_visible()


@needs_chromium
def test_beside_it_stands_an_image_of_the_suggested_class(opened, tmp_path):
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"red": 4, "green": 4})))
    run(Recipe("r", 0, (source,), (build_stage("select", "random", {"share": 1.0}),)), tmp_path / "out")
    row = collect(tmp_path / "out").rows.to_pylist()[0]
    other = {"red": "green", "green": "red"}[row["label"]]
    write_label_errors(tmp_path / "out", [LabelError(row["id"], "", row["label"], other, 0.9, 0.1, "2-x")])
    page = opened(write_report(tmp_path / "out").path)
    cards = page.locator("#mislabelled .card")
    assert cards.count() == 2 and f"likely: {other}" in cards.last.inner_text()
