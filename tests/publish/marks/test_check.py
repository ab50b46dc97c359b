"""check-marks: which synthetic images have lost their marks, and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.errors import StoreError
from augforge.publish.export import export
from augforge.publish.marks import Marker
from augforge.publish.marks.check import check_marks
from augforge.publish.marks.sign import Signer
from tests.publish.marks.certificates import write_chain
from tests.publish.runs import make_run, picture


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("marks"), 30)


def synthetic_files(folder: Path) -> list[Path]:
    """The files of the synthetic images of an export as a folder."""
    found = []
    for metadata in sorted(folder.glob("*/metadata.jsonl")):
        records = map(json.loads, metadata.read_text().splitlines())
        found += [metadata.parent / r["file_name"] for r in records if r["origin"] == "synthetic"]
    return found


@pytest.mark.parametrize("to", ["folder", "parquet", "webdataset", "coco", "hf"])
def test_all_there_is_exit_0_and_without_marks_3(finished, tmp_path, to):
    export(finished, to, tmp_path / "out", marker=Marker())
    checked = check_marks(tmp_path / "out")
    assert checked.lost == () and checked.synthetic > 0 and checked.signatures == "none"
    export(finished, to, tmp_path / "bare")
    assert len(check_marks(tmp_path / "bare").lost) == checked.synthetic
    assert CliRunner().invoke(app, ["check-marks", str(tmp_path / "out")]).exit_code == 0
    result = CliRunner().invoke(app, ["check-marks", str(tmp_path / "bare"), "--json"])
    assert result.exit_code == 3
    assert {lost["problem"] for lost in json.loads(result.stdout)["lost"]} == {"no XMP mark"}


def test_each_way_to_lose_a_mark_is_told(finished, tmp_path):
    signer = Signer(*write_chain(tmp_path / "pems"))
    assert export(finished, "folder", tmp_path / "out", marker=Marker(signer)).signed
    assert check_marks(tmp_path / "out").signatures == "checked" and not check_marks(tmp_path / "out").lost
    saved, flipped, gone, stripped, *_ = synthetic_files(tmp_path / "out")
    with Image.open(saved) as image:
        image.copy().save(saved)
    data = bytearray(flipped.read_bytes())
    data[-40] ^= 1
    flipped.write_bytes(data)
    gone.unlink()
    stripped.write_bytes(Marker().mark(picture(1), "compositeWithTrainedAlgorithmicMedia", "x"))
    lost = {lost.where: lost.problem for lost in check_marks(tmp_path / "out").lost}
    assert {(tmp_path / "out" / where): problem for where, problem in lost.items()} == {
        saved: "no XMP mark",
        flipped: "C2PA manifest: Invalid: assertion.dataHash.mismatch",
        gone: "missing file",
        stripped: "no C2PA manifest",
    }
    assert len(check_marks(tmp_path / "out", signed=False).lost) == 3


def test_an_image_from_text_that_claims_a_real_one_is_told(finished, tmp_path):
    export(finished, "folder", tmp_path / "out", marker=Marker())
    records = [json.loads(line) for path in (tmp_path / "out").glob("*/metadata.jsonl") for line in path.open()]
    name = next(r["file_name"] for r in records if r["origin"] == "synthetic" and '"parents": []' in r["provenance"])
    (path,) = (tmp_path / "out").glob(f"*/{name}")
    path.write_bytes(Marker().mark(path.read_bytes(), "compositeWithTrainedAlgorithmicMedia", "x"))
    (lost,) = check_marks(tmp_path / "out").lost
    assert "no image conditioned it" in lost.problem


def test_images_of_unknown_origin_are_counted(finished, tmp_path):
    export(finished, "folder", tmp_path / "out", marker=Marker())
    files = synthetic_files(tmp_path / "out")
    for metadata in (tmp_path / "out").glob("*/metadata.jsonl"):
        metadata.unlink()
    checked = check_marks(tmp_path / "out")
    assert checked.synthetic == 0 and checked.marked_unknown == len(files) and checked.unknown > len(files)


def test_a_run_folder_is_no_export(finished):
    with pytest.raises(StoreError, match="is a run folder"):
        check_marks(finished)
