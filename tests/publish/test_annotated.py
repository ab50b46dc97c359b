"""Annotations in the dataset of a run and in its exports: whatever there is comes back to the last bit."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from augforge.data.annotations import segmentation
from augforge.io.own import corners, xywh
from augforge.publish.export import export, uniform_of
from tests.io.given import SIZE
from tests.publish.annotated import ROWS, make_run, of_run, of_source

FORMATS = ("folder", "parquet", "webdataset", "coco", "hf", "label-studio")
CAR = {"box": [2.5, 3.25, 10.1, 20.3], "label": "car", "id": "a"}
INSIDE = np.zeros(SIZE, np.uint8)
INSIDE[13:18, 1:6] = 1
UNREACHABLE = (1.65090344643977, 131074.29950994978)
"""Two numbers without a width between them."""
PERSON = {"points": [[1.5, 2.0, 2.0], [0.0, 0.0, 0.0]], "names": ["left eye", "right eye"], "label": "car", "id": "a"}


@pytest.mark.parametrize("to", [*FORMATS, None])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
@example(rows=[("car", None, {"boxes": [CAR], "keypoints": [PERSON]}), (None, "test", {"boxes": [], "keypoints": []})])
@example(
    rows=[
        ("", None, {"labels": []}),
        ("car", None, {"caption": " a\n"}),
        (None, None, {"boxes": [{"box": [0.0, 0.0, 1.0, 1.0]}]}),
    ]
)
@example(rows=[(None, None, {"boxes": [{"box": [0.06370652012974531, 1.0, 35.533451780618755, 2.0]}]})])
@example(
    rows=[
        (
            "bus",
            None,
            {"boxes": [CAR, {**CAR, "label": "bus"}], "labels": ["bus", "car"], "keypoints": [PERSON, PERSON]},
        )
    ]
)
def test_what_is_said_of_an_image_comes_back(to, rows):
    with TemporaryDirectory() as place:
        folder = Path(place)
        finished = make_run(folder, rows)
        if to:
            export(finished, to, folder / "out")
        wanted = of_run(finished)
        assert len(wanted) == len(rows)
        assert of_source(folder / "out" if to else finished / "dataset") == wanted


EVERYTHING = {
    "boxes": [
        CAR,
        {"box": [0.0, 0.0, 40.0, 12.0], "label": "bus", "iscrowd": True, "attributes": {"file": "DSC_1.jpg", "n": 3}},
        {"box": [0.0, 12.0, 8.0, 20.0], "label": "car", "segmentation": segmentation.encoded(INSIDE)},
    ],
    "keypoints": [PERSON], "caption": "a car", "captioned_by": {"model": "/home/jane/models/blip", "prompt": "?"},
    "labels": ["car", "bus"], "soft_label": {"car": 1.0},
    "extra": {"path": {"type": "string", "value": "/home/jane/1.jpg"}, "name": {"type": "string", "value": "DSC_1.jpg"},
              "camera": {"type": "string", "value": "left"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three pictures: one with everything, one in which nothing is seen, and one of a class."""
    rows = [("car", "train", EVERYTHING), (None, "train", {"boxes": []}), ("bus", "train", {})]
    return make_run(tmp_path_factory.mktemp("annotated"), rows)


def test_pycocotools_reads_boxes_outlines_crowds_and_keypoints(finished, tmp_path):
    from pycocotools.coco import COCO

    export(finished, "coco", tmp_path)
    coco = COCO(str(tmp_path / "annotations" / "instances_train.json"))
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    (image,) = (one for one in coco.imgs.values() if one["augforge"]["label"] == "car")
    car, bus, outlined = coco.loadAnns(coco.getAnnIds(image["id"]))
    assert [names[one["category_id"]] for one in (car, bus, outlined)] == ["car", "bus", "car"]
    assert car["bbox"][:2] == [2.5, 3.25] and car["bbox"][0] + car["bbox"][2] == 10.1 and "whole" not in car["augforge"]
    assert car["keypoints"] == [1.5, 2.0, 2, 0.0, 0.0, 0] and car["num_keypoints"] == 1
    assert coco.cats[car["category_id"]]["keypoints"] == ["left eye", "right eye"]
    assert bus["iscrowd"] == 1 and bus["attributes"]["n"] == 3 and bus["bbox"] == [0, 0, 40, 12] and bus["area"] == 480
    assert np.array_equal(coco.annToMask(outlined), INSIDE) and outlined["area"] == INSIDE.sum()
    assert "segmentation" not in car and "segmentation" not in bus, "an empty list ends annToMask in an IndexError"
    assert all(coco.annToMask(one).any() for one in coco.anns.values() if "segmentation" in one)
    (whole,) = (one for one in coco.anns.values() if one["augforge"].get("whole"))
    assert names[whole["category_id"]] == "bus" and whole["bbox"] == [0, 0, 40, 24]
    captions = COCO(str(tmp_path / "annotations" / "captions_train.json"))
    assert [note["caption"] for note in captions.anns.values()] == ["a car"]


def test_a_box_that_was_corrected_in_coco_is_the_one_that_counts(finished, tmp_path):
    export(finished, "coco", tmp_path)
    path = tmp_path / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    note = next(one for one in content["annotations"] if one["bbox"][:2] == [2.5, 3.25])
    note["bbox"], note["category_id"] = [1, 2, 3, 4], 2
    path.write_text(json.dumps(content))
    _, _, said = next(told for told in of_source(tmp_path).values() if told[2].get("caption"))
    assert (
        said["boxes"][0] == {**CAR, "box": [1, 2, 4, 6], "label": "bus"}
        and said["boxes"][1:] == EVERYTHING["boxes"][1:]
    )
    assert said["extra"] == EVERYTHING["extra"]


def test_objects_and_captions_that_were_corrected_in_a_folder_count(finished, tmp_path):
    export(finished, "folder", tmp_path)
    path = tmp_path / "train" / "metadata.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all("objects" in line for line in lines)
    line = next(line for line in lines if line["caption"])
    assert line["objects"]["categories"] == ["car", "bus", "car"] and line["objects"]["bbox"][1] == [0, 0, 40, 12]
    line["objects"]["bbox"][0], line["caption"] = [1, 2, 3, 4], "two cars"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    _, _, said = next(told for told in of_source(tmp_path).values() if told[2].get("caption"))
    assert said["boxes"] == [{"box": [1, 2, 4, 6], "label": "car"}, *EVERYTHING["boxes"][1:]]
    assert said["caption"] == "two cars" and said["keypoints"] == EVERYTHING["keypoints"]


def test_datasets_loads_objects_as_the_hub_has_them(finished, tmp_path, monkeypatch):
    import datasets

    for to in ("folder", "parquet"):
        export(finished, to, tmp_path / to)
    data = datasets.load_dataset(str(tmp_path / "folder"), cache_dir=str(tmp_path / "cache"))["train"]
    row = next(row for row in data if row["caption"])
    assert row["objects"]["categories"] == ["car", "bus", "car"] and row["objects"]["bbox"][1] == [0, 0, 40, 12]
    data = datasets.load_dataset(str(tmp_path / "parquet"), cache_dir=str(tmp_path / "cache"))["train"]
    row = next(row for row in data if row["caption"])
    assert row["boxes"][0]["box"] == CAR["box"] and data.features["boxes"].feature["label"].names[:2] == ["car", "bus"]
    assert data.features["labels"].feature.names == data.features["label"].names


@pytest.mark.parametrize("to", FORMATS)
def test_one_size_moves_what_is_said_as_it_moves_the_pixels(finished, tmp_path, to):
    export(finished, to, tmp_path, uniform=uniform_of("RGB", 48))
    _, _, said = next(told for told in of_source(tmp_path).values() if told[2].get("caption"))
    assert [box["box"] for box in said["boxes"]] == [[0.0, 6.5, 4.199999999999999, 40.6], [0.0, 0.0, 48.0, 24.0]]
    assert said["keypoints"] == [] and said["caption"] == "a car" and said["soft_label"] == {"car": 1.0}


@pytest.mark.parametrize("to", [*FORMATS, "fiftyone"])
def test_private_exports_have_no_names_of_files_in_what_is_said(finished, tmp_path, to):
    export(finished, to, tmp_path, private=True)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"DSC_1" not in everything and b"jane" not in everything
    if to in FORMATS:
        _, _, said = next(told for told in of_source(tmp_path).values() if told[2].get("caption"))
        assert said["extra"]["camera"]["value"] == "left" and said["extra"]["path"]["value"] == "private"
        assert said["boxes"][1]["attributes"] == {"file": "private", "n": 3}
    export(finished, to, tmp_path / "open")
    assert b"DSC_1" in b"".join(path.read_bytes() for path in (tmp_path / "open").rglob("*") if path.is_file())


@pytest.mark.parametrize("to", ["folder", "parquet", "coco"])
def test_mlcroissant_reads_the_boxes(finished, tmp_path, to):
    import mlcroissant as mlc

    export(finished, to, tmp_path)
    data = mlc.Dataset(str(tmp_path / "croissant.json"))
    assert data.metadata.ctx.issues.errors == set() and data.metadata.ctx.issues.warnings == set()
    found = list(data.records("things" if to == "coco" else "images"))
    if to == "coco":
        boxes = [record["things/bbox"] for record in found if record["things/iscrowd"]]
    else:
        column, box = ("images/objects", "bbox") if to == "folder" else ("images/boxes", "box")
        (row,) = (record for record in found if record["images/caption"])
        boxes = [row[column][1][f"{column}/{box}"]]
    assert boxes == [[0.0, 0.0, 40.0, 12.0]]


def test_the_card_names_the_tasks_of_what_is_said(finished, tmp_path):
    from huggingface_hub import DatasetCard

    export(finished, "parquet", tmp_path)
    card = DatasetCard.load(tmp_path / "README.md")
    assert card.data.task_categories == [
        "image-classification",
        "object-detection",
        "keypoint-detection",
        "image-to-text",
    ]


def test_what_is_not_known_and_what_is_not_there_are_told_apart_in_the_dataset(finished):
    from datasets import load_from_disk

    rows = {row["caption"] or row["label"]: row["boxes"] for row in load_from_disk(str(finished / "dataset"))}
    assert len(rows["a car"]) == 3 and rows[None] == [] and rows[1] is None


@given(st.floats(0, 1e6), st.floats(0, 1e6))
@example(*UNREACHABLE)
@example(0.1, 0.30000000000000004)
@example(5e-324, 1.0)
def test_a_width_gives_the_second_corner_back_if_any_does(one, other):
    low, high = sorted([one, other])
    found = corners(xywh([low, low, high, high]))
    assert found == [low, low, high, high] or no_width(low, high)
    assert max(abs(found[2] - high), abs(found[3] - high)) <= math.ulp(high)


def no_width(low: float, high: float) -> bool:
    """Whether every sum of `low` and a width lies in the middle of two numbers, and so is rounded to the even one."""
    gap = math.ulp(high)
    width = high - low
    near = (math.nextafter(width, 0), width, math.nextafter(width, math.inf))
    return (
        all(low + each != high for each in near)
        and (Fraction(high) - Fraction(low)) % Fraction(gap) == Fraction(gap) / 2
    )
