"""The run as a whole, one sample, near-duplicates, and two runs beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.finish import write_ledger
from augforge.provenance.diff import diff
from augforge.provenance.lineage import lineage_of
from augforge.report.collect import collect
from augforge.report.pairs import pairs_of
from tests.report.runs import EVIL


def test_the_run_tells_what_a_report_tells(page, hostile):
    told, findings = page.get("/api/run").json(), collect(hostile)
    assert (told["name"], told["rows"], told["finished"]) == (findings.name, len(findings.rows), True)
    assert told["columns"]["label"] == findings.classes
    assert told["kept"] == int(findings.kept.sum()) and told["hidden"] == int(findings.hidden.sum())
    mine = {row["label"]: (row["real_before"], row["real"], row["synthetic"]) for row in told["balance"]}
    assert mine == findings.balance()
    assert {score["name"]: score["count"] for score in told["scores"]} == {
        measure.name: measure.groups[0].count for measure in findings.measures
    }


def test_texts_of_a_hostile_run_come_as_json_and_nothing_else(page):
    """Markup in labels, files and prompts is data: the answer is no page, and a browser is told not to guess."""
    for path in ("/api/run", f"/api/query/{page.ask()['query']}/rows", "/api/duplicates"):
        answer = page.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    found = page.ask(filters={"label": [EVIL[0]]})
    assert found["total"] == 8


def test_the_life_of_a_sample_is_what_why_tells(page, hostile):
    for row in range(len(page.run.index)):
        identity = page.run.index.identity(row)
        mine, theirs = page.get(f"/api/sample/{identity}").json(), lineage_of(hostile, identity).plain()
        assert_same(mine["life"], theirs)
        assert [one["id"] for one in mine["parents"]] == [one["id"] for one in mine["life"]["parents"]]


def assert_same(mine: dict, theirs: dict) -> None:
    """What both tell is the same, back to the files."""
    shared = set(mine) & set(theirs) - {"parents"}
    assert {"id", "label", "stage", "source", "digest", "sampled_params", "generation_config", "scores"} <= shared
    plain = json.loads(json.dumps(theirs, default=str))
    assert {name: mine[name] for name in shared} == {name: plain[name] for name in shared}
    for one, other in zip(mine["parents"], theirs["parents"], strict=True):
        assert_same(one, other)


def test_children_are_those_that_name_it(page):
    identity = next(
        i
        for i in map(page.run.index.identity, range(len(page.run.index)))
        if len(page.run.index.children_of(page.run.row(i)))
    )
    told = page.get(f"/api/sample/{identity}").json()
    assert told["children_total"] == len(told["children"]) == 4
    assert all(
        identity in [one["id"] for one in page.get(f"/api/sample/{child['id']}").json()["parents"]]
        for child in told["children"]
    )


@pytest.mark.parametrize(("identity", "status"), [("zz", 404), ("", 404), ("<script>", 404), ("x" * 500, 404)])
def test_no_such_sample(page, identity, status):
    assert page.get(f"/api/sample/{identity}").status_code == status


def test_a_ledger_whose_ancestors_are_without_end_is_told_of_up_to_a_limit(opened, tmp_path):
    """Each sample has both of the generation before as parents: 2^30 lives, and two samples that are each other's."""
    samples = [
        Sample(
            f"{n:020x}",
            "a",
            origin="synthetic",
            stage="1-generate-x",
            parents=tuple(f"{p:020x}" for p in (n - n % 2 - 2, n - n % 2 - 1) if p >= 0),
        )
        for n in range(60)
    ]
    samples += [Sample("a" * 20, "a", parents=("b" * 20,)), Sample("b" * 20, "a", parents=("a" * 20,))]
    page = opened(ledger_of(tmp_path / "run", samples))
    told = page.get(f"/api/sample/{59:020x}").json()
    assert len(told["parents"]) == 2 and len(json.dumps(told["life"])) < 1_000_000
    assert page.get(f"/api/sample/{'a' * 20}").json()["life"]["parents"][0]["parents"] == []


def ledger_of(folder: Path, samples: list[Sample]) -> Path:
    """A folder with nothing but a ledger."""
    ledger = Ledger(["a", "b"])
    ledger.extend(samples)
    folder.mkdir(parents=True)
    write_ledger(ledger, folder / "samples.parquet")
    return folder


def gone(identity: str, of: str, kind: str = "near-duplicate", label: str = "a") -> Sample:
    return Sample(
        identity, label, kept=False, dropped=f"{kind} of {of[:8]}, 3 bits apart", dropped_by="1-filter-duplicates"
    )


def test_near_duplicates_are_grouped_with_what_they_are_copies_of(opened, tmp_path):
    ids = [f"{n:08x}{n:012x}" for n in range(12)]
    samples = [Sample(ids[n], "a") for n in (0, 1, 2)]
    samples += [gone(ids[3], ids[0]), gone(ids[4], ids[0], "exact copy"), gone(ids[5], ids[3]), gone(ids[6], ids[1])]
    samples += [gone(ids[7], "ffffffff")]  # of another run
    folder = ledger_of(tmp_path / "run", samples)
    page = opened(folder)
    told = page.get("/api/duplicates").json()
    groups = [[row["id"] for row in group["rows"]] for group in told["groups"]]
    assert groups == [[ids[0], ids[3], ids[4], ids[5]], [ids[1], ids[6]]] and told["total"] == 2
    pairs = pairs_of(pq.read_table(folder / "samples.parquet"))
    rows = {page.run.index.identity(row) for pair in pairs for row in pair}
    assert rows <= {one for group in groups for one in group}  # a report leaves out exact copies of the same label
    assert page.get(f"/api/sample/{ids[5]}").json()["group"] == 0
    assert page.get(f"/api/sample/{ids[7]}").json()["group"] is None
    assert page.ids(filters={"duplicates": True}) == [ids[n] for n in (0, 1, 3, 4, 5, 6)]
    assert page.get("/api/duplicates", offset=1, limit=1).json()["groups"][0]["group"] == 1


def test_columns_come_as_numbers(thousand_page, thousand):
    labels = thousand_page.get("/api/column/label")
    names = thousand_page.get("/api/run").json()["columns"]["label"]
    assert [names[code] for code in np.frombuffer(labels.content, "<i4")] == pq.read_table(
        thousand / "samples.parquet"
    ).column("label").to_pylist()
    scores = np.frombuffer(thousand_page.get("/api/column/score:clip-prompt").content, "<f4")
    assert np.isnan(scores).sum() == 400
    for name in ("id", "score:nothing", "parents", "../meta"):
        assert thousand_page.get(f"/api/column/{name}").status_code == 404


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, Path]:
    """Two runs: some rows are in one alone, and of those in both some are dropped, relabelled or of other bytes."""
    folder = tmp_path_factory.mktemp("two")
    every = [Sample(f"{n:020x}", "a", digest=f"{n:064x}", scores={"s": float(n)}) for n in range(100)]
    there = [replace(one) for one in every[10:]]
    for n in range(20):
        there[n] = replace(there[n], kept=False, dropped="bad", dropped_by="1-filter-s")
    for n in range(20, 25):
        there[n] = replace(there[n], label="b")
    for n in range(25, 32):
        there[n] = replace(there[n], digest="f" * 64)
    for n in range(95, 100):
        every[n] = replace(every[n], kept=False, dropped="bad", dropped_by="1-filter-s")
    there.append(Sample("f" * 20, "b", digest="e" * 64))
    return ledger_of(folder / "a", every), ledger_of(folder / "b", there)


def test_two_runs_beside_each_other(opened, two):
    page = opened(two[0], compare=two[1])
    assert page.get("/api/session").json()["compare"] == {"name": "b", "folder": "b"}
    told = page.get("/api/compare").json()
    assert (told["rows"], told["kept"]) == ([100, 91], [95, 71])
    assert told["moved"] == {
        "only-here": 10,
        "only-there": 1,
        "kept-here": 20,
        "kept-there": 5,
        "changed": 7,
        "relabelled": 5,
    }
    assert {row["label"]: (row["a"], row["b"]) for row in told["counts"]} == {"a": (95, 65), "b": (0, 6)}
    (histogram,) = told["histograms"]
    assert (sum(histogram["a"]), sum(histogram["b"])) == (100, 90)
    changes = diff(*two).changes
    relabelled = {change.id for change in changes if change.reason == "another label"}
    assert {*page.ids(filters={"compare": ["relabelled"]})} == relabelled
    assert {*page.ids(filters={"compare": ["changed"]})} == {c.id for c in changes if c.reason == "other bytes"}
    removed = {change.id for change in changes if change.kind == "removed"}
    assert {*page.ids(filters={"compare": ["only-here", "kept-here"], "kept": True})} == removed


def test_the_second_run_is_served_below_b_and_is_only_read(opened, two):
    page = opened(two[0], compare=two[1])
    assert page.get("/b/api/run").json()["rows"] == 91
    found = page.post("/b/api/query", {"filters": {"compare": ["only-here"]}}).json()
    assert found["total"] == 1
    assert page.get(f"/b/api/query/{found['query']}/rows").json()["rows"][0]["id"] == "f" * 20
    assert page.post("/b/api/review", {"ids": ["f" * 20], "verdict": "keep"}).status_code == 404


def test_without_a_second_run_there_is_nothing_to_compare(page):
    assert page.get("/api/compare").status_code == page.get("/b/api/run").status_code == 404


def test_a_folder_without_a_recipe_is_served_with_a_note(opened, tmp_path):
    page = opened(ledger_of(tmp_path / "run", [Sample("0" * 20, None)]))
    told = page.get("/api/run").json()
    assert told["stages"] == [] and any("recipe" in note for note in told["notes"])
    assert page.get("/api/maps").json() == {"maps": []}
    assert page.get("/api/search").json()["why_not"] == "it has stored no embeddings"
    assert page.get("/api/cut", stage="1-filter-x").status_code == 422
    assert page.get("/api/duplicates").json()["total"] == 0
