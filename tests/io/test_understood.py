"""The first line says what a source was understood to be: counts that add up, and what may be meant otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.engine.run import run
from augforge.io import KINDS, detect, open_source
from augforge.io.understood import understanding, understood
from augforge.recipe import Recipe, SourceSpec
from augforge.report.inspection import inspected
from tests.conftest import write_images
from tests.engine.test_guards import Heard

SHAPES = {"a": 20, "b": 20, "c": 20}


def told(source: Path | str, **options: str) -> str:
    """The sentence about a source, after all of it was listed."""
    opened = open_source(*detect(str(source)), **options)
    found = understood(opened)
    entries = list(understanding(opened, found))
    assert found.images + found.dropped == len(entries)
    assert sum(found.classes.values()) + found.unlabelled == found.images
    return found.sentence()


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "shapes", SHAPES, size=8)


def test_a_folder_of_classes(shapes):
    assert told(shapes) == (f"{shapes}: image folder, 60 images, 3 classes (a 20, b 20, c 20), 0 unlabelled, no splits")


def test_images_at_the_root_have_no_label(tmp_path):
    text = told(write_images(tmp_path / "flat", {".": 5}, size=8))
    assert "5 images, 0 classes, 5 unlabelled, no splits; no image lies in the folder of a class: put" in text


def test_one_level_too_high_is_one_class_and_the_folder_below_may_be_meant(shapes):
    text = told(shapes.parent)
    assert "60 images, 1 class (shapes 60), 0 unlabelled" in text
    assert text.endswith(f"if the folders in shapes (a, b, c, …) are the classes, give {shapes.parent}/shapes")


def test_an_empty_folder_and_what_is_no_image(tmp_path, shapes):
    folder = Path(shutil.copytree(shapes, tmp_path / "shapes"))
    (folder / "d").mkdir()
    for name in ("notes.txt", "b.TXT", "LICENSE", ".hidden"):
        (folder / "a" / name).write_text("x")
    text = told(folder)
    assert "3 classes (a 20, b 20, c 20)" in text
    assert text.endswith("no image of d, 3 files not used (2 .txt, 1 LICENSE)")


def test_splits_and_one_of_them(tmp_path, shapes):
    folder = tmp_path / "set"
    shutil.copytree(shapes, folder / "train")
    write_images(folder / "val", {"a": 2, "d": 1}, size=8)
    assert told(folder).endswith(
        "63 images, 4 classes (a 22, b 20, c 20, d 1), 0 unlabelled, splits train 60, validation 3"
    )
    assert told(folder, split="val").endswith("3 images, 2 classes (a 2, d 1), 0 unlabelled, splits validation 3")


def test_long_lists_end_with_how_many_more(tmp_path):
    text = told(write_images(tmp_path / "many", {f"c{number}": 1 for number in range(30)}, size=8))
    assert "30 classes (c0 1, c1 1, " in text and "c9 1, … 20 more), 0" in text


def test_one_class_for_all(shapes):
    assert "60 images, 1 class (x 60), 0 unlabelled" in told(shapes, **{"class": "x"})
    assert "0 classes, 60 unlabelled" in told(shapes, **{"class": ""})


def test_what_cannot_be_used_is_counted(tmp_path):
    folder = write_images(tmp_path / "set", {"a": 3}, size=8)
    (folder / "a" / "gone.png").symlink_to("nowhere.png")
    assert "4 images, 1 class (a 4), 0 unlabelled, no splits, 1 of them cannot be used" in told(folder)


@pytest.mark.parametrize("to", ["folder", "parquet", "webdataset", "coco", "hf"])
def test_every_format_is_told_alike(tmp_path, shapes, to):
    from augforge.publish.export import export
    from augforge.recipe import build_stage

    stage = build_stage("filter", "sharpness", {"keep": 0.5})
    run(Recipe("x", 1, (SourceSpec("folder", str(shapes)),), (stage,)), tmp_path / "run")
    assert "run folder, 30 images, 3 classes (a 10, b 10, c 10)" in told(tmp_path / "run")
    assert "30 more that it had dropped" in told(tmp_path / "run")
    export(tmp_path / "run", to, tmp_path / "out")
    names = {"hf": "Hugging Face dataset", "folder": "image folder", "coco": "COCO", "parquet": "Parquet"}
    text = told(tmp_path / "out")
    assert f"out: {names.get(to, 'WebDataset')}, 30 images, 3 classes (a 10, b 10, c 10), 0 unlabelled" in text
    assert "if the folders" not in text and ".jsonl" not in text
    assert "not used" not in text


def test_a_declared_class_without_images(tmp_path, shapes):
    data = load_dataset("imagefolder", data_dir=str(shapes), split="train", cache_dir=str(tmp_path / "cache"))
    data.filter(lambda row: row["label"] != 1).flatten_indices().save_to_disk(str(tmp_path / "saved"))
    assert "2 classes (a 20, c 20), 0 unlabelled, no splits, no image of b" in told(tmp_path / "saved")


def test_every_kind_says_what_it_is():
    from augforge.io import _class_of

    formats = [_class_of(kind).format for kind in KINDS]
    assert "source" not in formats and all(formats)


def test_it_is_the_first_line_of_a_run_a_plan_and_a_training(tmp_path, shapes):
    heard = Heard()
    recipe = Recipe("x", 1, (SourceSpec("folder", str(shapes)),), ())
    run(recipe, tmp_path / "run", progress=heard, limit=3)
    assert heard.lines[0] == told(shapes)  # all of it, whatever is used of it
    shown = CliRunner().invoke(app, ["filter", "sharpness", str(shapes), "--out", str(tmp_path / "f")])
    assert shown.stderr.splitlines()[0] == told(shapes)
    written = tmp_path / "r.yaml"
    written.write_text(recipe.yaml())
    assert CliRunner().invoke(app, ["plan", str(written)]).stdout.splitlines()[0] == told(shapes)


def test_things_that_annotations_tell_of_are_counted(tmp_path):
    square = [4, 4, 12, 4, 12, 12]
    boxes = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": [4, 4, 8, 8], "area": 64, "iscrowd": 0}
        | ({"segmentation": [square]} if n < 2 else {})
        for n in range(5)
    ]
    points = {"keypoints": [5, 5, 2], "num_keypoints": 1, "segmentation": [square]}
    stray = {"id": 9, "image_id": 99, "category_id": 1, "bbox": [4, 4, 8, 8], "area": 64, "iscrowd": 0}
    images = [{"id": n, "file_name": f"{n}.png", "width": 32, "height": 32} for n in range(1, 5)]
    categories = [{"id": 1, "name": "car", "keypoints": ["top"]}, {"id": 2, "name": "bus"}]
    said = {"images": images, "annotations": [*boxes[:-1], boxes[-1] | points, stray], "categories": categories}
    write_images(tmp_path / "set" / "images", {".": 3}, size=32)
    for n, path in enumerate(sorted((tmp_path / "set" / "images").glob("*.png")), start=1):
        path.rename(path.with_name(f"{n}.png"))
    (tmp_path / "set" / "instances.json").write_text(json.dumps(said))
    assert told(tmp_path / "set").endswith(
        "set: COCO, 4 images, 1 class (car 3), 1 unlabelled, no splits, 5 boxes, 3 outlines, "
        "1 instance with keypoints, 1 of them cannot be used (1 image missing), no image of bus; "
        "1 annotation is of an image that no file lists"
    )
    run(Recipe("x", 1, (SourceSpec("coco", str(tmp_path / "set")),), ()), tmp_path / "run", max_bad=1)
    assert "5 boxes, 3 outlines, 1 instance with keypoints" in told(tmp_path / "run")


def sentence(source: Path) -> str:
    """As `told`, of images that may have several labels."""
    opened = open_source(*detect(str(source)))
    found = understood(opened)
    assert len(list(understanding(opened, found))) == found.images
    return found.sentence()


def test_captions_and_several_labels_of_a_run_are_counted(tmp_path):
    write_images(tmp_path / "set", {".": 2}, size=8)
    names = [path.name for path in (tmp_path / "set").glob("*.png")]
    lines = [{"file_name": name, "text": "x", "labels": ["a", "b"]} for name in names]
    (tmp_path / "set" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "2 captions, 2 images with several labels" in sentence(tmp_path / "set")
    run(Recipe("x", 1, (SourceSpec("imagefolder", str(tmp_path / "set")),), ()), tmp_path / "run")
    assert "2 classes (a 2, b 2), 0 unlabelled" in sentence(tmp_path / "run")
    assert "2 captions, 2 images with several labels" in sentence(tmp_path / "run")
    assert "no image of" not in sentence(tmp_path / "run")
    found = inspected(open_source("run", str(tmp_path / "run")))
    assert dict(found.annotations) == {"caption": (2, 2), "labels": (2, 4)}
    assert {tuple(one.annotations["labels"]) for one in found.examples} == {("a", "b")}
