"""What COCO says of images: boxes, outlines, keypoints, captions, panoptic segments; and COCO as it is downloaded."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from augforge.data.annotations import check_annotations, segmentation
from augforge.errors import SourceError
from augforge.io import detect, open_source
from tests.bad_inputs import encoded

CATEGORIES = [{"id": 7, "name": "car"}, {"id": 90, "name": "bus"}]


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 48, 3), np.uint8)), "PNG")
    )


def listed(number, name):
    return {"id": number, "file_name": name, "width": 48, "height": 32}


def thing(number, image, category, bbox=(1, 2, 10, 10), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(bbox), "iscrowd": 0, **more}


def write(path, images, annotations=(), categories=CATEGORIES):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": list(annotations), "categories": categories}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


@pytest.fixture
def five(tmp_path):
    """Five images of which four are there, numbers with gaps, a crowd, two classes in one, nothing, an unknown one."""
    for place in range(4):
        picture(tmp_path / "images" / f"{place}.png", place)
    square = [[1, 2, 11, 2, 11, 12, 1, 12]]
    notes = [
        thing(1, 10, 7, segmentation=square),
        thing(2, 11, 90, (0, 0, 5, 5), iscrowd=1, segmentation={"size": [32, 48], "counts": [0, 25, 1511]}),
        thing(3, 12, 7, (0, 0, 5, 5), segmentation=[]),
        thing(4, 12, 90, (10, 10, 30, 20), segmentation=[], occluded=True),
        thing(5, 999, 7),
    ]
    write(tmp_path / "instances.json", [listed(10 + place, f"{place}.png") for place in range(5)], notes)
    return tmp_path


@pytest.mark.parametrize("name", ["", "instances.json"])
def test_instances_beside_images(five, name):
    kind, value = detect(str(five / name))
    source = open_source(kind, value)
    entries = list(source.entries())
    assert kind == "coco" and source.classes() == ["car", "bus"] and source.strays == 1
    assert [(e.label, e.problem) for e in entries] == [
        ("car", ""), ("bus", ""), (None, ""), (None, ""), (None, "missing file"),
    ]  # fmt: skip
    usable = [check_annotations(e.annotations, (32, 48)) for e in entries]
    assert not any(wrong for _, wrong in usable)
    boxes = [good["boxes"] for good, _ in usable]
    assert boxes[0] == [
        {"box": [1, 2, 11, 12], "label": "car", "id": "1", "segmentation": [[1, 2, 11, 2, 11, 12, 1, 12]]}
    ]
    assert boxes[1][0]["iscrowd"] and segmentation.decoded(boxes[1][0]["segmentation"], (32, 48)).sum() == 25
    assert [(b["box"], b["label"]) for b in boxes[2]] == [([0, 0, 5, 5], "car"), ([10, 10, 40, 30], "bus")]
    assert boxes[2][1]["attributes"] == {"occluded": True} and usable[2][0]["labels"] == ["car", "bus"]
    assert boxes[3] == []


def test_pycocotools_agrees(five):
    """The outlines, and the areas of the outlines, are those that the reference decodes."""
    theirs = COCO(str(five / "instances.json"))
    entries = open_source("coco", str(five)).entries()
    ours = {
        box["id"]: box.get("segmentation")
        for entry in entries
        for box in check_annotations(entry.annotations, (32, 48))[0]["boxes"]
    }
    for number in (1, 2):
        there = theirs.annToMask(theirs.anns[number])
        found = segmentation.decoded(ours[str(number)], (32, 48))
        assert (found == there).all() and found.sum() == coco_mask.area(theirs.annToRLE(theirs.anns[number])) > 0


def test_three_files_of_a_split_tell_of_the_same_images(tmp_path):
    for split in ("train2017", "val2017"):
        for place in range(6):
            picture(tmp_path / split / f"{place}.png", place)
        images = [listed(place, f"{place}.png") for place in range(6)]
        cats = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
        things = [thing(place, place, 1 + 2 * (place % 2), (1, 1, 9, 9)) for place in range(6)]
        said = [{"id": place, "image_id": place, "caption": f"picture {place}"} for place in range(6)]
        folder = tmp_path / "annotations"
        write(folder / f"captions_{split}.json", images, said, None)
        write(folder / f"instances_{split}.json", images, things, cats)
        points = thing(2, 2, 1, (1, 1, 9, 9), keypoints=[3, 4, 2, 0, 0, 0], num_keypoints=1)
        person = [{"id": 1, "name": "person", "keypoints": ["left_eye", "right_eye"]}]
        write(folder / f"person_keypoints_{split}.json", images, [points], person)
    entries = list(open_source(*detect(str(tmp_path))).entries())
    assert [(e.locator, e.split, e.label, e.problem) for e in entries] == [
        (f"{folder}/{place}.png", split, "dog" if place % 2 else "cat", "")
        for folder, split in (("train2017", "train"), ("val2017", "validation"))
        for place in range(6)
    ]
    assert [e.annotations["caption"] for e in entries] == 2 * [f"picture {place}" for place in range(6)]
    assert all(len(e.annotations["boxes"]) == 1 for e in entries), "the box of keypoints is that of its instance"
    assert entries[2].annotations["keypoints"] == [
        {"points": [[3, 4, 2], [0, 0, 0]], "names": ["left_eye", "right_eye"], "label": "person", "id": "2"}
    ]


def test_a_file_beside_the_images_of_each_split(tmp_path):
    for split, number in (("train", 0), ("valid", 1), ("test", 2)):
        picture(tmp_path / split / "a.png", number)
        write(tmp_path / split / "_annotations.coco.json", [listed(0, "a.png")], [thing(0, 0, 90, (2, 3, 18, 27))])
    entries = list(open_source(*detect(str(tmp_path))).entries())
    assert [(e.locator, e.split) for e in entries] == [
        ("test/a.png", "test"), ("train/a.png", "train"), ("valid/a.png", "validation"),
    ]  # fmt: skip
    assert entries[0].annotations["boxes"] == [{"box": [2, 3, 20, 30], "label": "bus", "id": "0"}]


def test_two_images_of_one_number_are_refused_and_both_named(tmp_path):
    write(tmp_path / "instances.json", [listed(1, "a.png"), listed(1, "b.png")])
    with pytest.raises(SourceError, match=r"two images have the id 1: 'a\.png' and 'b\.png'"):
        list(open_source("coco", str(tmp_path)).entries())


def test_several_captions_are_all_kept(tmp_path):
    picture(tmp_path / "a.png")
    notes = [{"id": n, "image_id": 1, "caption": text} for n, text in enumerate([" a dog ", "a brown dog"])]
    write(tmp_path / "captions.json", [listed(1, "a.png")], notes, None)
    (entry,) = open_source(*detect(str(tmp_path))).entries()
    assert entry.annotations["caption"] == "a dog" and "boxes" not in entry.annotations
    assert entry.annotations["extra"]["captions"]["value"] == ["a dog", "a brown dog"]


def test_panoptic_segments(tmp_path):
    picture(tmp_path / "val2017" / "a.png")
    picture(tmp_path / "annotations" / "panoptic_val2017" / "a.png", 1)
    segments = [{"id": 300, "category_id": 7, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}]
    notes = [{"image_id": 1, "file_name": "a.png", "segments_info": segments}]
    write(tmp_path / "annotations" / "panoptic_val2017.json", [listed(1, "a.png")], notes)
    source = open_source(*detect(str(tmp_path)))
    (entry,) = source.entries()
    assert entry.annotations["boxes"] == [{"box": [1, 1, 5, 5], "label": "car", "id": "300"}]
    assert (
        source.read_picture(entry.locator, "mask")
        == (tmp_path / "annotations" / "panoptic_val2017" / "a.png").read_bytes()
    )


def test_a_json_that_is_no_coco_is_no_source(tmp_path):
    (tmp_path / "package.json").write_text('{"name": "x"}')
    with pytest.raises(SourceError, match="a file of no kind"):
        detect(str(tmp_path / "package.json"))
    (tmp_path / "cat").mkdir()
    assert detect(str(tmp_path))[0] == "folder"


MANY = """
import json, sys, resource
from pathlib import Path
folder, count = Path(sys.argv[1]), int(sys.argv[2])
with (folder / "instances.json").open("w") as file:
    file.write('{"categories": [{"id": 1, "name": "a"}], "images": [')
    images = ({"id": n, "file_name": f"{n}.png", "width": 640, "height": 480} for n in range(count // 10))
    file.write(",".join(map(json.dumps, images)))
    file.write('], "annotations": [')
    for n in range(count):
        outline = [[1.5, 2.25, 31.625, 2.25, 31.625, 42.75, 1.5, 42.75]]
        note = {"id": n, "image_id": n % (count // 10), "category_id": 1, "bbox": [1.5, 2.25, 30.125, 40.5],
                "area": 1220.0, "iscrowd": 0, "segmentation": outline}
        file.write(("," if n else "") + json.dumps(note))
    file.write("]}")
from augforge.io import open_source
boxes = sum(len(e.annotations["boxes"]) for e in open_source("coco", str(folder)).entries())
print(boxes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_a_million_annotations_in_less_than_a_gigabyte(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path), "1000000"], capture_output=True, text=True, check=True
    )
    boxes, megabytes = map(int, done.stdout.split())
    assert boxes == 1_000_000 and megabytes < 1024


def test_annotations_that_cannot_be_right_are_counted(tmp_path):
    picture(tmp_path / "images" / "0.png")
    notes = [thing(1, 10, 7), thing(2, 10, 9), thing(3, 10, 9), thing(4, 777, 7), thing(5, 10, 90, (1, 2, 10, -4))]
    write(tmp_path / "instances.json", [listed(10, "0.png")], notes)
    source = open_source(*detect(str(tmp_path)))
    assert source.remarks == [
        "1 annotation is of an image that no file lists",
        "2 annotations are of a category that its file does not list (9)",
    ]
    (entry,) = source.entries()
    usable, wrong = check_annotations(entry.annotations, (32, 48))
    assert len(usable["boxes"]) == 3 and len(wrong) == 1, "a box of negative height is in the note of its image"


def test_a_file_of_training_that_lists_images_of_an_evaluation_folder_is_asked_about(tmp_path):
    write(tmp_path / "annotations" / "train.json", [listed(1, "train/a.png"), listed(2, "val2014/b.png")], [])
    for name in ("train/a.png", "val2014/b.png"):
        picture(tmp_path / name)
    with pytest.raises(
        SourceError, match=r"train\.json puts val2014/b\.png into train, and its folder is named as"
    ) as no:
        list(open_source("coco", str(tmp_path)).entries())
    assert "split: train" in no.value.hint
    assert [entry.split for entry in open_source("coco", str(tmp_path), split="train").entries()] == ["train", "train"]
