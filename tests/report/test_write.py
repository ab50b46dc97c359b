"""Writing a report: within its size, without touching the run, with errors that say what to do."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.data.measures import MEASURES, NATS
from augforge.data.record import ledger_digest
from augforge.errors import StoreError
from augforge.report import write_report
from augforge.report.evaluation import UNKNOWN, read_evaluation
from augforge.report.layout import _projected
from augforge.report.outcomes import OUTCOMES, outcomes_of
from tests.report.runs import EVIL, evaluation, make_run, many_samples


def listing(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_only_the_report_is_new_in_the_run_folder(tmp_path):
    run = make_run(tmp_path)
    before = listing(tmp_path)
    assert write_report(run).path == str(run / "report.html")
    after = listing(tmp_path)
    assert after.pop(str(run / "report.html")) and after == before


def test_the_file_keeps_to_its_size_and_sheds_provenance_then_pictures(run, written, tmp_path):
    whole = written.size / 1e6
    assert (written.samples, written.traced) == (32, 32)
    less = write_report(run, tmp_path / "less.html", megabytes=whole - 0.002)
    assert less.size <= (whole - 0.002) * 1e6
    assert less.pictures < written.pictures or less.traced < 32


def test_too_little_room_is_an_error_with_a_number(run, tmp_path):
    with pytest.raises(StoreError, match="32 samples take") as error:
        write_report(run, tmp_path / "r.html", megabytes=0.1)
    assert "--megabytes" in error.value.hint


def test_the_figures_are_pictures_of_everything(written):
    names = {Path(path).stem for path in written.figures}
    assert names == {
        "class-balance",
        "histogram-clip-prompt",
        "histogram-safety",
        "selection-4-select-facility-location",
        "embedding-map",
        "evaluation",
        "evaluation-1-shots",
        "evaluation-2-shots",
    }
    for path in written.figures:
        with Image.open(path) as image:
            assert image.width >= 800 and np.asarray(image.convert("L")).std() > 10


def test_the_command_says_what_it_wrote(run, tmp_path):
    out = tmp_path / "r.html"
    result = CliRunner().invoke(app, ["report", str(run), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "MB, pictures of 24 of 32 samples" in result.stdout and "4 flagged as unsafe" in result.stdout
    result = CliRunner().invoke(app, ["report", str(run), "--out", str(out), "--png", str(tmp_path / "png"), "--json"])
    told = json.loads(result.stdout)
    assert told["size"] == out.stat().st_size and all(Path(path).is_file() for path in told["figures"])


def test_a_folder_that_is_no_run_is_an_error_of_two_lines(tmp_path):
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 2


@pytest.mark.parametrize("option", ["--out", "--png"])
def test_a_place_that_cannot_be_written_is_an_error_of_two_lines(run, tmp_path, option):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(
        app, ["report", str(run), "--out", str(tmp_path / "r.html"), option, str(tmp_path / "file" / "x")]
    )
    assert result.exit_code == 2 and "cannot be written" in result.stderr


def test_a_run_of_another_format_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 1}')
    with pytest.raises(StoreError, match="written in format 1"):
        write_report(tmp_path)


def test_a_run_without_recipe_scores_or_vectors_has_a_report(tmp_path):
    run = many_samples(tmp_path / "run", 40)
    (run / "recipe.yaml").unlink()
    written = write_report(run)
    assert (written.samples, written.pictures) == (40, 0)
    told = json.loads(re.search(r'id="data-overview">(.*?)</script>', Path(written.path).read_text())[1])
    assert len(told["notes"]) == 2 and told["map"] is None


def with_scores(arm):
    """An arm as the report's scripts read it: its measures by themselves."""
    measures = ("accuracy", "macro-f1")
    rest = {name: value for name, value in arm.items() if name not in measures}
    return {**rest, "scores": {name: arm[name] for name in measures}}


def test_an_evaluation_is_read_and_a_damaged_one_is_named(tmp_path):
    assert read_evaluation(tmp_path) is None
    good = evaluation(EVIL)
    (tmp_path / "evaluation.json").write_text(json.dumps(good))
    for one in (good, *good["runs"]):
        one |= {name: one.get(name) for name in ("shots", "imbalance")}
        one["arms"] = [with_scores(arm) for arm in one["arms"]]
    good |= {"tested": None, "samples-sha256": None, "caution": UNKNOWN, "headline": ""}
    good |= {"measures": MEASURES, "nats": sorted(NATS)}
    assert json.loads(json.dumps(read_evaluation(tmp_path).plain())) == good
    good["arms"][1]["difference"]["verdict"] = "great"
    del good["measures"], good["nats"]
    (tmp_path / "evaluation.json").write_text(json.dumps(good))
    with pytest.raises(StoreError, match=r"arms\.1\.difference\.verdict"):
        read_evaluation(tmp_path)


def evaluated(tmp_path, **changed):
    run = tmp_path / "run"
    many_samples(run, 40)
    record = {**evaluation(EVIL), "samples-sha256": ledger_digest(run), "tested": {"images": 200}, **changed}
    (run / "evaluation.json").write_text(json.dumps(record))
    return read_evaluation(run)


def test_the_headline_is_the_verdict_on_what_the_run_kept(tmp_path):
    assert evaluated(tmp_path).headline == (
        "The generated images help; real+selected against real alone: +6.0 points [+2.0, +10.0], "
        "judged by 200 test images (long tail of 100)."
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"samples-sha256": "0" * 64}, "of an earlier result of this folder: run augforge evaluate again"),
        ({"samples-sha256": None}, "does not say of which result of this folder it is"),
        ({"tested": {"images": 3}}, "3 test images say nothing of a difference: judge by 30 or more"),
    ],
)
def test_an_evaluation_of_another_result_or_of_few_images_is_said_to_be_one(tmp_path, changed, said):
    found = evaluated(tmp_path, **changed)
    assert said in found.caution and found.headline == ""


def test_fates(run):
    from augforge.report.collect import collect

    counts = dict(zip(*np.unique(outcomes_of(collect(run).rows), return_counts=True), strict=True))
    assert counts == dict(zip(OUTCOMES, (12, 4, 4, 12), strict=True))


def test_the_class_balance_leaves_out_what_no_one_trains_on(run):
    from augforge.report.collect import collect

    assert collect(run).balance() == dict.fromkeys(EVIL, (4, 3, 1))


def test_the_map_is_that_of_a_singular_value_decomposition():
    vectors = np.random.default_rng(2).normal(size=(60, 5)).astype(np.float32) * [5, 3, 1, 1, 1]
    places, explained = _projected(vectors.astype(np.float32))
    centred = vectors - vectors.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(places), np.abs(u[:, :2] * s[:2]), atol=1e-3)
    assert np.allclose(explained, (s**2 / (s**2).sum())[:2], atol=1e-5)


def test_the_vendored_library_is_the_one_we_know():
    vendor = files("augforge.report") / "vendor"
    for line in (vendor / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (vendor / "chart.LICENSE.md").read_text()
