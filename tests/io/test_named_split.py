"""A file or folder whose own name is an evaluation split: its images are of that split, and nothing is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from augforge.engine.run import run
from augforge.errors import EmptyResult
from augforge.io import detect, open_source
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.io.test_understood import told


def splits_of(place: Path | str, **options: object) -> list[str | None]:
    return [entry.split for entry in open_source(*detect(str(place)), **options).entries()]


def folder_kind(root: Path) -> Path:
    return write_images(root, {"cat": 1, "dog": 1}, size=8)


def picture(root: Path) -> str:
    root.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(root / "a.png")
    return "a.png"


def imagefolder_kind(root: Path) -> Path:
    (root / "metadata.csv").write_text(f"file_name,label\n{picture(root)},cat\n")
    return root


def table_kind(root: Path) -> Path:
    (root / "labels.csv").write_text(f"file_name,label\n{picture(root)},cat\n")
    return root / "labels.csv"


def coco_kind(root: Path) -> Path:
    images = [{"id": 1, "file_name": picture(root), "width": 8, "height": 8}]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}
    coco = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "cat"}]}
    (root / "_annotations.coco.json").write_text(json.dumps(coco))
    return root


def yolo_kind(root: Path) -> Path:
    picture(root / "images")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "classes.txt").write_text("cat\n")
    return root


@pytest.mark.parametrize("kind", [folder_kind, imagefolder_kind, table_kind, coco_kind, yolo_kind])
@pytest.mark.parametrize(("name", "split"), [("test", "test"), ("Valid", "validation"), ("dev", "validation")])
def test_every_reader_of_folders_takes_the_split_from_the_name(tmp_path, kind, name, split):
    place = kind(tmp_path / name)
    assert set(splits_of(place)) == {split}
    assert set(splits_of(place, splits=False)) == {None}
    assert set(splits_of(place, split=name)) == {split}


@pytest.mark.parametrize("inside", ["test/birds", "train", "testing-grounds", "tests"])
def test_only_the_last_part_counts_and_only_evaluation_splits(tmp_path, inside):
    assert set(splits_of(folder_kind(tmp_path / inside))) == {None}


def test_a_table_named_as_a_split(tmp_path):
    place = table_kind(tmp_path / "set")
    assert splits_of(place) == [None]
    assert splits_of(place.rename(place.with_name("val.csv"))) == ["validation"]


def test_the_folder_of_the_shell_has_a_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(folder_kind(tmp_path / "test"))
    assert set(splits_of(".")) == {"test"}


def test_what_the_source_says_itself_counts_more(tmp_path):
    write_images(tmp_path / "test" / "train", {"cat": 1}, size=8)
    write_images(tmp_path / "test" / "val", {"cat": 1}, size=8)
    assert set(splits_of(tmp_path / "test")) == {"train", "validation"}
    assert set(splits_of(tmp_path / "test", split="val")) == {"validation"}


def test_the_first_line_says_it_with_the_way_out(tmp_path):
    text = told(folder_kind(tmp_path / "test"))
    assert "splits test 2" in text and "its own name makes them the split 'test'" in text
    assert "splits: false" in text
    assert "its own name" not in told(tmp_path / "test", splits=False)


def test_one_class_and_the_split(tmp_path):
    text = told(folder_kind(tmp_path / "test"), **{"class": "x"})
    assert "1 class (x 2)" in text and "splits test 2" in text and "its own name" in text


def test_a_run_may_be_called_test(tmp_path):
    recipe = Recipe("r", 1, (SourceSpec("folder", str(folder_kind(tmp_path / "pics"))),), ())
    run(recipe, tmp_path / "test")
    assert set(splits_of(tmp_path / "test")) == {None}


def test_nothing_is_generated_of_a_test_folder(tmp_path):
    place = folder_kind(tmp_path / "test")
    stage = build_stage("generate", "shifts", {})

    def made(**options: object) -> int:
        recipe = Recipe("r", 1, (SourceSpec("folder", str(place), options),), (stage,))
        return run(recipe, tmp_path / f"out{len(options)}").kept

    with pytest.raises(EmptyResult, match="no real image of the split 'train' is left"):
        made()
    assert made(splits=False) > 2
