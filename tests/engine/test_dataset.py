"""dataset/ of a run, as a trainer opens it: a `DatasetDict` where there are splits, and no column of nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_from_disk

from augforge import Run
from augforge.engine.run import run
from augforge.io import open_source
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.test_laws import NoModels, rows

SPLIT = {"test": 0.25, "validation": 0.25}


def split_run(folder: Path, out: Path, **options: bool) -> None:
    """Split the images of a folder."""
    stage = build_stage("split", "near-duplicates", SPLIT)
    run(Recipe("x", 1, (SourceSpec("folder", str(folder)),), (stage,)), out, device="cpu", **options)


@pytest.fixture
def twenty(tmp_path: Path) -> Path:
    """Twelve cats and eight dogs."""
    return write_images(tmp_path / "twenty", {"cat": 12, "dog": 8})


def test_splits_open_as_a_dataset_dict(twenty, tmp_path):
    split_run(twenty, tmp_path / "out")
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert isinstance(data, DatasetDict) and list(data) == ["train", "validation", "test"]
    assert data.num_rows == {"train": 10, "validation": 5, "test": 5}
    kept = {i: row["split"] for i, row in rows(tmp_path / "out").items()}
    assert {row["id"]: name for name, part in data.items() for row in part} == kept
    assert all(part.split == name and part.features == data["train"].features for name, part in data.items())
    assert Run(tmp_path / "out").dataset.num_rows == data.num_rows


def test_the_flat_form_is_an_option_and_changing_it_computes_nothing(twenty, tmp_path):
    split_run(twenty, tmp_path / "out", flat=True)
    flat = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert isinstance(flat, Dataset) and flat.num_rows == 20
    assert {row["id"]: row["split"] for row in flat} == {i: r["split"] for i, r in rows(tmp_path / "out").items()}
    stage = build_stage("split", "near-duplicates", SPLIT)
    recipe = Recipe("x", 1, (SourceSpec("folder", str(twenty)),), (stage,))
    again = run(recipe, tmp_path / "out", progress=NoModels())
    assert again.computed == 0 and not again.up_to_date
    assert isinstance(load_from_disk(str(tmp_path / "out" / "dataset")), DatasetDict)
    assert run(recipe, tmp_path / "out", progress=NoModels()).up_to_date
    assert not run(recipe, tmp_path / "out", flat=True, progress=NoModels()).up_to_date
    assert run(recipe, tmp_path / "out", flat=True, progress=NoModels()).up_to_date


def test_images_without_a_split_are_in_train_and_come_back_without_one(tmp_path):
    write_images(tmp_path / "loose", {"cat": 3}, seed=5)
    write_images(tmp_path / "set" / "test", {"cat": 2})
    specs = (SourceSpec("folder", str(tmp_path / "loose")), SourceSpec("folder", str(tmp_path / "set")))
    run(Recipe("x", 1, specs, ()), tmp_path / "out", device="cpu")
    assert load_from_disk(str(tmp_path / "out" / "dataset")).num_rows == {"train": 3, "test": 2}
    for kind, place in (("run", "out"), ("dataset", "out/dataset")):
        entries = list(open_source(kind, str(tmp_path / place)).entries())
        assert sorted(str(entry.split) for entry in entries) == ["None"] * 3 + ["test"] * 2


def test_a_single_split_is_one_dataset_with_a_column(tmp_path):
    write_images(tmp_path / "set" / "train", {"cat": 3})
    loose = write_images(tmp_path / "loose", {"dog": 1}, seed=3)
    specs = (SourceSpec("folder", str(tmp_path / "set")), SourceSpec("folder", str(loose)))
    run(Recipe("x", 1, specs, ()), tmp_path / "out", device="cpu")
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert isinstance(data, Dataset) and sorted(data["split"]) == ["", "train", "train", "train"]


def test_without_splits_it_is_one_dataset_without_empty_columns(pictures, tmp_path):
    run(Recipe("x", 1, (SourceSpec("folder", str(pictures)),), ()), tmp_path / "out", device="cpu")
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert isinstance(data, Dataset)
    assert data.column_names == ["image", "label", "id", "origin", "weight", "provenance"]


def test_unlabelled_images_have_no_column_of_labels(tmp_path):
    folder = write_images(tmp_path / "loose", {".": 3})
    run(Recipe("x", 1, (SourceSpec("folder", str(folder)),), ()), tmp_path / "out", device="cpu")
    assert "label" not in load_from_disk(str(tmp_path / "out" / "dataset")).column_names
    assert all(entry.label is None for entry in open_source("dataset", str(tmp_path / "out" / "dataset")).entries())


def test_a_plain_data_loader_batches_every_column(twenty, tmp_path):
    from torch.utils.data import DataLoader

    judged = build_stage("filter", "sharpness", {"keep": 1.0})
    write_images(tmp_path / "more", {"cat": 4}, seed=3)
    run(Recipe("x", 1, (SourceSpec("folder", str(tmp_path / "more")),), (judged,)), tmp_path / "one", device="cpu")
    specs = (SourceSpec("folder", str(twenty)), SourceSpec("run", str(tmp_path / "one")))
    run(Recipe("y", 1, specs, ()), tmp_path / "two", device="cpu")
    data = load_from_disk(str(tmp_path / "two" / "dataset"))
    assert [name for name in data.column_names if name not in ("image", "mask")] == [
        "label", "id", "origin", "weight", "scores", "provenance"
    ]  # fmt: skip
    batches = list(DataLoader(data.with_format("torch"), batch_size=5))
    assert sum(len(batch["label"]) for batch in batches) == 24
    measured = np.concatenate([batch["scores"]["sharpness"].numpy() for batch in batches])
    assert np.isfinite(measured).sum() == 4, "a score that was never measured is NaN, which can be batched"
    assert batches[0]["image"].shape == (5, 3, 32, 32)


def test_scores_that_were_never_measured_do_not_come_back(twenty, tmp_path):
    test_a_plain_data_loader_batches_every_column(twenty, tmp_path)
    carried = [entry.carried for entry in open_source("dataset", str(tmp_path / "two" / "dataset")).entries()]
    assert sorted(len(known["scores"]) for known in carried) == [0] * 20 + [1] * 4


def test_real_bytes_stay_in_every_split(twenty, tmp_path):
    split_run(twenty, tmp_path / "out")
    source = open_source("run", str(tmp_path / "out"))
    stored = {path.read_bytes() for path in twenty.rglob("*.png")}
    assert {source.read(entry.locator) for entry in source.entries()} == stored


def test_everything_that_reads_a_run_takes_both_forms(twenty, tmp_path):
    split_run(twenty, tmp_path / "parts")
    split_run(twenty, tmp_path / "flat", flat=True)
    parts, flat = Run(tmp_path / "parts"), Run(tmp_path / "flat")
    assert not any(parts.diff(flat).counts().values())
    assert parts.lock == flat.lock
    for each in (parts, flat):
        assert each.verify().sound
        assert len(each.images()) == 20 and each.images()[0].image.size == (32, 32)
        for to in ("folder", "parquet", "webdataset", "coco", "hf"):
            assert each.export(to, tmp_path / f"{each.folder.name}-{to}").rows == 20
        assert Path(each.report().path).is_file()
        sharp = build_stage("filter", "sharpness", {"keep": 0.5})
        recipe = Recipe("next", 1, (SourceSpec("run", str(each.folder)),), (sharp,))
        assert run(recipe, tmp_path / f"{each.folder.name}-next", device="cpu").kept == 10


def test_verify_sees_an_image_that_was_damaged_in_a_split(twenty, tmp_path):
    split_run(twenty, tmp_path / "out")
    file = next((tmp_path / "out" / "dataset" / "test").glob("*.arrow"))
    data = bytearray(file.read_bytes())
    at = data.index(b"IDAT") + 20
    data[at] ^= 1
    file.write_bytes(data)
    found = Run(tmp_path / "out").verify().findings
    assert any("digest" in finding.what for finding in found) and any("test" in f.where for f in found)


def test_a_split_whose_files_are_gone_is_written_again(twenty, tmp_path):
    split_run(twenty, tmp_path / "out")
    (tmp_path / "out" / "dataset" / "dataset_dict.json").unlink()
    split_run(twenty, tmp_path / "out")
    assert load_from_disk(str(tmp_path / "out" / "dataset")).num_rows["test"] == 5


def test_the_files_of_a_split_are_named_and_sealed_in_the_record(twenty, tmp_path):
    split_run(twenty, tmp_path / "out")
    files = json.loads((tmp_path / "out" / "run.json").read_text())["files"]
    assert {"dataset/dataset_dict.json", "dataset/test/state.json"} <= set(files)


def test_odd_names_of_splits_open_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = write_images(tmp_path / "p", {"cat": 3})
    images = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    pq.write_table(pa.table({"image": images, "split": ["fold 1/2", "fold-1-2", "test"]}), tmp_path / "t.parquet")
    run(Recipe("x", 1, (SourceSpec("parquet", str(tmp_path / "t.parquet")),), ()), tmp_path / "out", device="cpu")
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert len(data) == 3 and all(part.num_rows == 1 for part in data.values())
    again = open_source("dataset", str(tmp_path / "out" / "dataset"))
    assert sorted(entry.split for entry in again.entries()) == ["fold 1/2", "fold-1-2", "test"]


def test_nothing_kept_is_a_dataset_too(twenty, tmp_path):
    stage = build_stage("filter", "sharpness", {"min": 1e9})
    recipe = Recipe("x", 1, (SourceSpec("folder", str(twenty)),), (stage,))
    run(recipe, tmp_path / "out", device="cpu", allow_empty=True)
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert data.num_rows == 0 and data.features["label"].names == ["cat", "dog"]


def test_other_columns_of_several_types_and_of_decimals_are_written(tmp_path):
    folder = write_images(tmp_path / "mixed", {"cat": 4})
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    lines = [{"file_name": name, "x": n if n % 2 else "t", "tags": ["u"]} for n, name in enumerate(names)]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = {"image": [(folder / name).read_bytes() for name in names], "price": pa.array([Decimal("1.50")] * 4)}
    pq.write_table(pa.table(table), tmp_path / "priced.parquet")
    stage = build_stage("filter", "sharpness", {"keep": 1.0, "scope": "all"})
    sources = SourceSpec("imagefolder", str(folder)), SourceSpec("parquet", str(tmp_path / "priced.parquet"))
    run(Recipe("x", 1, sources, (stage,)), tmp_path / "out", device="cpu")
    rows = load_from_disk(str(tmp_path / "out" / "dataset")).to_list()
    assert sorted(str(row["extra"]["x"]) for row in rows if row["extra"]["x"] is not None) == ["1", "3", "t", "t"]
    assert [row["extra"]["price"] for row in rows if row["extra"]["price"] is not None] == [Decimal("1.50")] * 4
