"""Every format: what goes out comes back, at its place below the folder, and others can load it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augforge.io import detect, open_source
from augforge.publish.export import export
from augforge.publish.marks import Marker
from augforge.publish.marks.xmp import source_type
from tests.publish.runs import LABELS, kept_rows

FORMATS = ("folder", "parquet", "webdataset", "coco", "hf")


@pytest.fixture(scope="module")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run in every format, with bytes as they are."""
    root = tmp_path_factory.mktemp("exports")
    for to in FORMATS:
        export(finished, to, root / to)
    return {to: root / to for to in FORMATS}


@pytest.mark.parametrize("to", FORMATS)
def test_every_sample_comes_back_with_its_bytes_label_split_mask_and_history(finished, exported, to):
    kind, value = detect(str(exported[to]))
    assert kind == {"hf": "dataset"}.get(to, to)
    source = open_source(kind, value)
    wanted = kept_rows(finished)
    entries = {entry.carried["id"]: entry for entry in source.entries()}
    assert entries.keys() == wanted.keys() and len({entry.locator for entry in entries.values()}) == len(wanted)
    classes = [label for label in LABELS if label is not None]
    assert sorted(source.classes()) == sorted(classes)
    for identity, row in wanted.items():
        entry = entries[identity]
        assert (entry.label, entry.split, entry.problem) == (row["label"], row["split"], "")
        assert source.read(entry.locator) == row["image"]["bytes"]
        assert bool(entry.pictures) == (row["mask"] is not None)
        assert not entry.pictures or source.read_picture(entry.locator, "mask") == row["mask"]["bytes"]
        carried = entry.carried
        assert (carried["origin"], carried["weight"]) == (row["origin"], row["weight"])
        assert carried["scores"] == {name: value for name, value in row["scores"].items() if value is not None}
        made = json.loads(row["provenance"])
        assert carried.get("seed") == made.get("seed") and carried["sampled_params"].get("prompt") == made.get("prompt")
        assert carried["parents"] == [parent["id"] for parent in made.get("parents", [])]


@pytest.mark.parametrize("to", FORMATS)
def test_no_label_leads_a_file_out_of_the_folder(exported, to):
    manifest = json.loads((exported[to] / "export.json").read_text())
    found = {path.relative_to(exported[to]).as_posix() for path in exported[to].rglob("*") if path.is_file()}
    assert found == {*manifest["files"], "export.json"}
    assert {path.name for path in exported[to].parent.iterdir()} == set(FORMATS)
    assert not any(".." in Path(name).parts for name in found)


@pytest.mark.parametrize("to", ["folder", "parquet", "webdataset"])
def test_datasets_loads_it_as_the_hub_would(finished, exported, to, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    loaded = datasets.load_dataset(str(exported[to]), cache_dir=str(tmp_path))
    wanted = kept_rows(finished)
    assert sum(len(rows) for rows in loaded.values()) == len(wanted)
    for rows in loaded.values():
        for row in rows:
            told = row["json"] if to == "webdataset" else row
            assert json.loads(told["provenance"]) == json.loads(wanted[told["id"]]["provenance"])
            if to == "parquet":
                assert row["image"].size == (24, 24) and (row["mask"] is None) == (wanted[row["id"]]["mask"] is None)


def test_parquet_is_laid_out_as_the_hub_wants_it(exported):
    import pyarrow.parquet as pq

    files = sorted(path.relative_to(exported["parquet"]).as_posix() for path in exported["parquet"].rglob("*.parquet"))
    assert files == ["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"]
    file = pq.ParquetFile(exported["parquet"] / files[0])
    features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert features["image"]["_type"] == features["mask"]["_type"] == "Image"
    assert features["label"]["names"][:1] and file.schema_arrow.field("image").type.num_fields == 2


def test_row_groups_and_shards_are_bounded(finished, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from augforge.io import tables
    from augforge.io.parquet import ParquetWriter

    monkeypatch.setattr(tables, "GROUP_ROWS", 3)
    monkeypatch.setattr(ParquetWriter, "shard_rows", 8)
    export(finished, "parquet", tmp_path / "out")
    total = len([split for split in (r["split"] for r in kept_rows(finished).values()) if split != "validation"])
    shards = sorted((tmp_path / "out" / "data").glob("train-*"))
    assert [path.name for path in shards] == [
        f"train-{n:05d}-of-{-(-total // 8):05d}.parquet" for n in range(-(-total // 8))
    ]
    groups = [pq.ParquetFile(path).metadata for path in shards]
    assert all(about.num_rows <= 8 for about in groups) and sum(about.num_rows for about in groups) == total
    assert all(about.row_group(n).num_rows <= 3 for about in groups for n in range(about.num_row_groups))


def test_hf_is_a_dataset_dict(finished, exported):
    import datasets

    loaded = datasets.load_from_disk(str(exported["hf"]))
    assert set(loaded) == {"train", "validation"}
    assert {row["id"] for rows in loaded.values() for row in rows} == set(kept_rows(finished))


def test_coco_says_what_others_expect_of_it(finished, exported):
    content = json.loads((exported["coco"] / "annotations" / "instances_train.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    images = {image["id"]: image for image in content["images"]}
    wanted = kept_rows(finished)
    assert {names[note["category_id"]] for note in content["annotations"]} <= set(LABELS)
    for note in content["annotations"]:
        image = images[note["image_id"]]
        assert names[note["category_id"]] == wanted[image["augforge"]["id"]]["label"]
        assert note["bbox"] == [0, 0, image["width"], image["height"]] and note["area"] == 24 * 24
    assert all((exported["coco"] / "images" / "train" / image["file_name"]).is_file() for image in images.values())


def test_marks_go_on_synthetic_images_only(finished, tmp_path):
    done = export(finished, "folder", tmp_path / "out", marker=Marker())
    source = open_source("folder", str(tmp_path / "out"))
    wanted = kept_rows(finished)
    kinds = {}
    for entry in source.entries():
        data = source.read(entry.locator)
        if entry.carried["origin"] == "real":
            assert data == wanted[entry.carried["id"]]["image"]["bytes"] and source_type(data) is None
        else:
            kinds[entry.carried["id"]] = source_type(data), bool(entry.carried["parents"])
    assert done.marked == len(kinds) == done.synthetic > 0
    assert set(kinds.values()) == {
        ("trainedAlgorithmicMedia", False),
        ("compositeWithTrainedAlgorithmicMedia", True),
    }


def test_a_shift_set_is_not_marked_as_made_by_a_trained_model(tmp_path):
    from augforge.engine.run import run
    from augforge.publish.marks.check import check_marks
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.conftest import write_images

    source = SourceSpec("folder", str(write_images(tmp_path / "pictures", {"cat": 3}, size=16)))
    shifts = build_stage("generate", "shifts", {"families": ["blur"], "size": 16})
    run(Recipe("shifts", 1, (source,), (shifts,)), tmp_path / "run", device="cpu")
    assert export(tmp_path / "run", "folder", tmp_path / "out", marker=Marker()).marked == 3
    kinds = [source_type(path.read_bytes()) for path in (tmp_path / "out").rglob("*.png")]
    assert sorted(map(str, kinds)) == ["None"] * 3 + ["algorithmicallyEnhanced"] * 3
    assert check_marks(tmp_path / "out").lost == ()


def test_an_export_can_be_a_source_of_a_run(finished, tmp_path):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.test_laws import rows

    before = {identity: row for identity, row in rows(finished).items() if row["kept"]}
    for to in ("webdataset", "coco", "folder"):
        export(finished, to, tmp_path / to, marker=Marker())
        spec = SourceSpec(*detect(str(tmp_path / to)))
        run(Recipe("again", 1, (spec,), (build_stage("filter", "sharpness", {"keep": 1.0}),)), tmp_path / f"run-{to}")
        after = rows(tmp_path / f"run-{to}")
        assert after.keys() == before.keys() and all(row["kept"] for row in after.values())
        assert all(
            after[i]["parents"] == before[i]["parents"] and after[i]["pictures"] == before[i]["pictures"]
            for i in before
        )


@pytest.mark.parametrize("to", FORMATS)
def test_a_run_that_kept_nothing_is_exported_as_nothing(tmp_path, to):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from tests.conftest import write_images

    pictures = write_images(tmp_path / "pictures", {"cat": 2})
    stage = build_stage("filter", "sharpness", {"min": 1e9})
    recipe = Recipe("none", 1, (SourceSpec("folder", str(pictures)),), (stage,))
    run(recipe, tmp_path / "run", device="cpu", allow_empty=True)
    done = export(tmp_path / "run", to, tmp_path / "out", marker=Marker())
    assert done.rows == 0 and export(tmp_path / "run", to, tmp_path / "out", marker=Marker()).up_to_date


def test_a_run_that_an_earlier_version_wrote_is_exported_too(tmp_path):
    """Its dataset has columns in which no row has a value, some of them of the type null."""
    import pyarrow as pa
    from datasets import Features, Image, Value

    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec
    from tests.conftest import write_images

    pictures = write_images(tmp_path / "pictures", {".": 3})
    run(Recipe("old", 1, (SourceSpec("folder", str(pictures)),), ()), tmp_path / "run", device="cpu")
    file = tmp_path / "run" / "dataset" / "data-00000-of-00001.arrow"
    rows = pa.ipc.open_stream(file.read_bytes()).read_all().to_pylist()
    texts = {name: Value("string") for name in ("id", "origin", "provenance", "label", "split", "caption")}
    schema = Features({"image": Image(), "weight": Value("float64"), "scores": Value("null"), **texts}).arrow_schema
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist(rows, schema=schema))
    for to in FORMATS:
        assert export(tmp_path / "run", to, tmp_path / to).rows == 3
        entries = list(open_source(*detect(str(tmp_path / to))).entries())
        assert [entry.label for entry in entries] == [None] * 3 and not any(entry.problem for entry in entries)
