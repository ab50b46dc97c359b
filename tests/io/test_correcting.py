"""Exports for FiftyOne and Label Studio: in the forms that their documentation describes, read back independently."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.data.annotations import segmentation
from augforge.io.label_studio_regions import brush_runs
from augforge.publish.export import export
from tests.io.given import SIZE
from tests.publish.annotated import make_run

INSIDE = np.zeros(SIZE, np.uint8)
INSIDE[4:9, 10:20] = 1
BOXES = [
    {"box": [10.0, 4.0, 20.0, 9.0], "label": "car", "id": "7", "segmentation": segmentation.encoded(INSIDE)},
    {"box": [0.0, 0.0, 40.0, 12.0], "label": "<bus>", "iscrowd": True, "attributes": {"colour": "red"},
     "segmentation": [[0.0, 0.0, 40.0, 0.0, 40.0, 12.0]]},
    {"box": [1.0, 1.0, 2.0, 2.0]},
]  # fmt: skip
POINTS = [{"points": [[20.0, 12.0, 2.0], [0.0, 0.0, 0.0], [10.0, 6.0, 1.0]], "names": ["nose", "l", "r"], "id": "7"}]
SAID = {
    "boxes": BOXES, "keypoints": POINTS, "labels": ["car", "<bus>"], "caption": "a car & a bus",
    "soft_label": {"car": 1.0}, "extra": {"camera": {"type": "string", "value": "left"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three pictures, one of them with everything."""
    rows = [("car", "train", SAID), (None, "test", {"boxes": []}), ("<bus>", None, {})]
    return make_run(tmp_path_factory.mktemp("correcting"), rows)


def array(value: Any) -> Any:
    """An array as FiftyOne reads it: base64 of compressed `.npy`."""
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(value["$binary"]["base64"]))))


def decoded_runs(data: list[int]) -> Any:
    """The values in Label Studio's run lengths, by the description of its format: bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in data)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated, count = take(1), take(sizes[take(2)]) + 1
        values += [take(word)] * count if repeated else [take(word) for _ in range(count)]
    return np.array(values, np.uint8)


@pytest.mark.parametrize("mask", [np.zeros(SIZE), np.ones(SIZE), INSIDE, np.ones((1, 1)), np.ones((200, 300))])
def test_brushes_are_run_lengths_of_four_values_a_pixel(mask):
    found = decoded_runs(brush_runs(mask.astype(np.uint8)))
    assert np.array_equal(found.reshape(*mask.shape, 4)[..., 3] > 0, mask > 0) and set(found) <= {0, 255}


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9))
def test_any_mask_comes_out_of_a_brush(seed, height, width):
    mask = np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8)
    assert np.array_equal(decoded_runs(brush_runs(mask)).reshape(height, width, 4)[..., 0] > 0, mask > 0)


def test_fiftyone_has_shares_of_the_image_and_masks_in_boxes(finished, tmp_path):
    export(finished, "fiftyone", tmp_path)
    samples = json.loads((tmp_path / "samples.json").read_text())["samples"]
    about = json.loads((tmp_path / "metadata.json").read_text())
    assert about["media_type"] == "image" and "version" not in about and about["info"]["classes"] == ["car", "<bus>"]
    assert all((tmp_path / sample["filepath"]).is_file() for sample in samples) and len(samples) == 3
    first = next(sample for sample in samples if sample["augforge"]["label"] == "car")
    assert first["label"] == {"_cls": "Classification", "label": "car"} and first["tags"] == ["train"]
    car, bus, none = first["ground_truth"]["detections"]
    assert first["ground_truth"]["_cls"] == "Detections" and {one["_cls"] for one in (car, bus, none)} == {"Detection"}
    assert car["bounding_box"] == [0.25, 4 / 24, 0.25, 5 / 24] and (car["label"], none["label"]) == ("car", None)
    assert array(car["mask"]).shape == (5, 10) and array(car["mask"]).all() and car["instance_id"] == "7"
    assert bus["iscrowd"] and bus["attributes"] == {"colour": {"_cls": "Attribute", "value": "red"}}
    assert array(bus["mask"]).shape == (12, 40) and 0 < array(bus["mask"]).mean() < 1 and "mask" not in none
    (points,) = first["keypoints"]["keypoints"]
    assert (
        points["points"][0] == [0.5, 0.5]
        and all(map(math.isnan, points["points"][1]))
        and points["visible"] == [2, 0, 1]
    )
    assert first["caption"] == "a car & a bus" and first["extra"] == {"camera": "left"}
    assert [one["label"] for one in first["labels"]["classifications"]] == ["car", "<bus>"]
    nothing = next(sample for sample in samples if sample["tags"] == ["test"])
    assert nothing["ground_truth"]["detections"] == [] and "label" not in nothing


def test_label_studio_has_percents_and_an_interface_that_fits(finished, tmp_path):
    export(finished, "label-studio", tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for task in tasks:
        served = unquote(task["data"]["image"].removeprefix("/data/local-files/?d="))
        assert (tmp_path / served).is_file() and served == task["data"]["file"]
    first = next(task for task in tasks if task["data"]["augforge"]["label"] == "car")
    (prediction,) = first["predictions"]
    regions = {region["id"]: region for region in prediction["result"]}
    assert len(regions) == len(prediction["result"])
    car = regions["box-0"]["value"]
    assert (car["x"], car["width"], car["rectanglelabels"]) == (25.0, 25.0, ["car"])
    assert (car["y"], car["height"]) == (pytest.approx(400 / 24), pytest.approx(500 / 24))
    assert (
        regions["box-1-0"]["value"]["points"] == [[0, 0], [100, 0], [100, 50]] and regions["box-1"]["meta"]["iscrowd"]
    )
    brush = decoded_runs(regions["box-0-mask"]["value"]["rle"]).reshape(*SIZE, 4)[..., 0]
    assert np.array_equal(brush > 0, INSIDE > 0) and regions["box-0-mask"]["parentID"] == "box-0"
    assert [regions[f"points-0-{n}"]["value"]["keypointlabels"] for n in (0, 2)] == [["nose"], ["r"]]
    assert regions["points-0-0"]["parentID"] == "box-0" and not regions["points-0-2"]["meta"]["visible"]
    assert regions["caption"]["value"]["text"] == ["a car & a bus"]
    assert {(region["original_width"], region["original_height"]) for region in regions.values()} == {SIZE[::-1]}
    interface = ElementTree.parse(tmp_path / "labeling.xml").getroot()
    controls = {control.get("name"): control for control in interface if control.get("toName")}
    assert {region["from_name"] for task in tasks for region in task["predictions"][0]["result"]} <= controls.keys()
    assert [label.get("value") for label in controls["box"]] == ["car", "<bus>"]
    assert [label.get("value") for label in controls["point"]] == ["nose", "r"]
