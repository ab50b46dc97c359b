"""LabelMe: polygons, rectangles, circles, points, and images inside of the file."""

from __future__ import annotations

import base64
import json
import math

import pytest

from augforge.data.annotations import check_annotations, segmentation
from augforge.errors import BadImage
from augforge.io import detect, open_source
from tests.io.layouts import CAR, SIZE, boxes_of, labelme, picture, problems_of, put


def shape(kind, points, label="car", **more):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, "flags": {}, **more}


def one(root, *shapes, **more):
    """The entry of a data set of one image."""
    put(root, {"a.png": picture(), "a.json": labelme("a.png", *shapes, **more)})
    (entry,) = open_source("labelme", str(root)).entries()
    return entry


def boxes(entry):
    return check_annotations(entry.annotations, SIZE)[0]["boxes"]


def test_a_rectangle_is_a_box_whichever_corners_it_has(tmp_path):
    entry = one(tmp_path, shape("rectangle", [[30, 8], [18, 24]]))
    assert boxes_of(entry) == [("car", CAR)] and entry.label == "car"


def test_a_polygon_is_the_outline_of_the_box_around_it(tmp_path):
    attributes = {"flags": {"far": True}, "description": "x"}
    entry = one(tmp_path, shape("polygon", [[1, 2], [9.5, 2], [5, 8]], flags={"far": True}, description="x"))
    assert boxes(entry) == [
        {"box": [1, 2, 9.5, 8], "label": "car", "segmentation": [[1, 2, 9.5, 2, 5, 8]], "attributes": attributes}
    ]


def test_a_circle_is_a_polygon_with_its_box_and_nearly_its_area(tmp_path):
    (box,) = boxes(one(tmp_path, shape("circle", [[20, 16], [20, 26]])))
    assert box["box"] == [10, 6, 30, 26]
    area = segmentation.decoded(box["segmentation"], SIZE).sum()
    assert abs(area - math.pi * 100) < 0.05 * math.pi * 100


def test_polygons_of_one_group_are_one_thing(tmp_path):
    pieces = [[[1, 1], [5, 1], [5, 5]], [[20, 20], [30, 20], [30, 30]]]
    entry = one(
        tmp_path, *(shape("polygon", points, group_id=3) for points in pieces), shape("rectangle", [[0, 0], [9, 9]])
    )
    joined, other = boxes(entry)
    assert joined["box"] == [1, 1, 30, 30] and joined["id"] == "3" and len(joined["segmentation"]) == 2
    assert other["box"] == [0, 0, 9, 9] and "id" not in other


def test_points_are_keypoints_of_the_box_in_their_group(tmp_path):
    entry = one(
        tmp_path,
        shape("rectangle", [[10, 10], [20, 20]], "person", group_id=1),
        shape("point", [[12, 13]], "left_eye", group_id=1),
        shape("point", [[15, 13]], "right_eye", group_id=1),
        shape("point", [[1, 2]], "ball"),
    )
    good, wrong = check_annotations(entry.annotations, SIZE)
    assert good["keypoints"] == [
        {"points": [[12, 13, 2], [15, 13, 2]], "names": ["left_eye", "right_eye"], "label": "person", "id": "1"},
        {"points": [[1, 2, 2]], "label": "ball"},
    ]
    assert good["boxes"] == [{"box": [10, 10, 20, 20], "label": "person", "id": "1"}] and not wrong
    assert open_source("labelme", str(tmp_path)).classes() == ["ball", "person"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (shape("linestrip", [[1, 2], [3, 4]]), "a linestrip of 2 points is none of the shapes"),
        (shape("polygon", [[1, 2], [3, 4]]), "a polygon of 2 points"),
        (shape("circle", [[1, 2]]), "a circle of 1 points"),
        (shape("rectangle", [[1, 2], [3, None]]), "[3, None] is no point"),
        (shape("rectangle", [[1, 2], [3, float("nan")]]), "nan] is no point"),
        (shape("rectangle", []), "it has no points"),
        (shape("rectangle", [[1, 2], [3, 4]], None), "its label is None"),
        ("x", "it is no shape"),
        (shape("rectangle", [[1, 2], [1, 9]]), "has no area"),
    ],
)
def test_a_malformed_shape_costs_itself_and_is_said(tmp_path, wrong, said):
    entry = one(tmp_path, wrong, shape("rectangle", [CAR[:2], CAR[2:]], "bus"))
    (problem,) = problems_of(entry)
    assert said in problem and [box["label"] for box in boxes(entry)] == ["bus"]


def test_the_image_may_lie_in_the_file(tmp_path):
    data = base64.b64encode(picture()).decode()
    put(tmp_path, {"a.json": labelme("C:\\data\\a.png", imageData=data), "b.json": labelme("", imageData="?"),
                   "c.json": labelme("..\\pictures\\c.png", imageData=None), "pictures/c.png": picture(2)})  # fmt: skip
    assert detect(str(tmp_path)) == ("labelme", str(tmp_path))
    source = open_source("labelme", str(tmp_path))
    a, b, c, bare = source.entries()
    assert source.read(a.locator) == picture() and boxes_of(a) == [("car", CAR)] and not a.problem
    with pytest.raises(BadImage, match="imageData"):
        source.read(b.locator)
    assert bare.locator == "pictures/c.png" and not bare.annotations
    assert c.locator == "../pictures/c.png" and c.problem == "its name leads out of the source"


def test_images_are_found_from_where_the_file_lies(tmp_path):
    put(tmp_path, {"images/a.png": picture(), "notes/a.json": labelme("..\\images\\a.png", imageData=None)})
    (entry,) = open_source("labelme", str(tmp_path)).entries()
    assert entry.locator == "images/a.png" and boxes_of(entry) == [("car", CAR)]


def test_nothing_vanishes(tmp_path):
    put(tmp_path, {"a.png": picture(), "bare.png": picture(1), "a.json": labelme("a.png")})
    put(tmp_path, {"gone.json": labelme("g.png"), "none.json": json.dumps({"shapes": []})})
    put(tmp_path, {"other.json": "{}", "damaged.json": "{"})
    source = open_source("labelme", str(tmp_path))
    problems = {entry.locator: entry.problem for entry in source.entries()}
    assert problems.pop("damaged.json").startswith("its annotation is damaged")
    assert problems == {
        "a.png": "",
        "bare.png": "",
        "g.png": "missing file",
        "none.json": "its annotation names no image",
    }
    assert source.remarks == [
        "1 image is not annotated: bare.png",
        "1 JSON file is not of LabelMe: other.json",
    ]


def test_flags_of_an_image_without_shapes_are_its_labels(tmp_path):
    put(tmp_path, {"a.png": picture(), "a.json": json.dumps({"shapes": [], "flags": {"cat": True, "dog": False},
                                                             "imagePath": "a.png"})})  # fmt: skip
    (entry,) = open_source("labelme", str(tmp_path)).entries()
    assert entry.label == "cat" and entry.annotations == {"boxes": []}


def test_one_file_alone(tmp_path):
    put(tmp_path, {"a.png": picture(), "b.png": picture(1), "a.json": labelme("a.png"), "b.json": labelme("b.png")})
    kind, value = detect(str(tmp_path / "b.json"))
    assert [(kind, e.locator) for e in open_source(kind, value).entries()] == [("labelme", "b.png")]
