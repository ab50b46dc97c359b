"""CVAT for images 1.1: boxes, polygons, points, masks, tags, attributes, subsets."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.data.annotations import check_annotations, segmentation
from augforge.errors import SourceError
from augforge.io import detect, open_source
from tests.io.layouts import CAR, SIZE, boxes_of, cvat, cvat_image, picture, problems_of, put


def one(root, inside):
    """The entry of a data set of one image."""
    put(root, {"images/a.png": picture(), "annotations.xml": cvat(cvat_image("a.png", inside=inside))})
    (entry,) = open_source("cvat", str(root)).entries()
    return entry


def test_a_box_with_all_that_is_said_of_it(tmp_path):
    entry = one(tmp_path, '<box label="bus" source="manual" occluded="1" xtl="1.5" ytl="2" xbr="9.25" ybr="8" '
                          'z_order="0"><attribute name="colour">red</attribute></box>')  # fmt: skip
    attributes = {"source": "manual", "occluded": True, "z_order": "0", "colour": "red"}
    good = check_annotations(entry.annotations, SIZE)[0]
    assert good["boxes"] == [{"box": [1.5, 2, 9.25, 8], "label": "bus", "attributes": attributes}]
    assert entry.label == "bus" and open_source("cvat", str(tmp_path)).classes() == ["car", "bus"]


def test_polygons_turned_boxes_and_ellipses_are_outlines(tmp_path):
    entry = one(tmp_path, '<polygon label="car" points="1,2;9.5,2;5,8"/>'
                          '<box label="car" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90"/>'
                          '<ellipse label="car" cx="20" cy="16" rx="5" ry="10"/>')  # fmt: skip
    polygon, turned, ellipse = check_annotations(entry.annotations, SIZE)[0]["boxes"]
    assert polygon == {"box": [1, 2, 9.5, 8], "label": "car", "segmentation": [[1, 2, 9.5, 2, 5, 8]]}
    assert np.allclose(turned["box"], [13, 7, 17, 17]), "as wide as it was high"
    assert np.allclose(turned["segmentation"], [[17, 7, 17, 17, 13, 17, 13, 7]]), "clockwise"
    assert ellipse["box"] == [15, 6, 25, 26]


def test_run_lengths_of_a_mask_are_of_the_rows_of_its_box(tmp_path):
    entry = one(tmp_path, '<mask label="car" rle="1, 2, 2, 1" left="10" top="20" width="3" height="2"/>')
    (box,) = check_annotations(entry.annotations, SIZE)[0]["boxes"]
    inside = segmentation.decoded(box["segmentation"], SIZE)
    assert box["box"] == [10, 20, 13, 22]
    assert [(y, x) for y, x in zip(*np.nonzero(inside), strict=True)] == [(20, 11), (20, 12), (21, 12)]


def test_points_and_skeletons_are_keypoints(tmp_path):
    entry = one(tmp_path, '<points label="face" points="1,2;3.5,4" occluded="0"/>'
                          '<skeleton label="person"><points label="nose" points="5,6" outside="0" occluded="1"/>'
                          '<points label="tail" points="7,8" outside="1" occluded="0"/></skeleton>')  # fmt: skip
    good, wrong = check_annotations(entry.annotations, SIZE)
    assert good["keypoints"] == [
        {"points": [[1, 2, 2], [3.5, 4, 2]], "label": "face"},
        {"points": [[5, 6, 1], [0, 0, 0]], "names": ["nose", "tail"], "label": "person"},
    ]
    assert good["boxes"] == [] and not wrong


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<polyline label="car" points="1,2;3,4"/>', "polyline 0: none of the shapes that are read"),
        ('<box label="car" xtl="1" ytl="2" xbr="3"/>', "box 0: it has no ybr"),
        ('<box label="car" xtl="1" ytl="2" xbr="3" ybr="inf"/>', "'inf' is no number"),
        ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', "it has no label"),
        ('<polygon label="car" points="1,2;3"/>', "no pairs of x and y"),
        ('<mask label="car" rle="1, 2" left="10" top="20" width="3" height="2"/>', "do not fit"),
        ('<mask label="car" rle="6" left="46" top="20" width="3" height="2"/>', "do not fit"),
        ('<skeleton label="person"/>', "it has no points"),
        ('<box label="car" xtl="5" ytl="2" xbr="3" ybr="9"/>', "has no area"),
    ],
)
def test_a_malformed_shape_costs_itself_and_is_said(tmp_path, shape, said):
    entry = one(tmp_path, f'{shape}<box label="bus" xtl="1" ytl="2" xbr="9" ybr="9"/>')
    (problem,) = problems_of(entry)
    assert said in problem and [label for label, _ in _usable(entry)] == ["bus"]


def _usable(entry):
    return [(box["label"], box["box"]) for box in check_annotations(entry.annotations, SIZE)[0]["boxes"]]


def test_tags_are_the_labels_of_the_image(tmp_path):
    entry = one(tmp_path, '<tag label="street"/><tag label="day"/><box label="bus" xtl="1" ytl="2" xbr="9" ybr="9"/>')
    assert entry.annotations["labels"] == ["street", "day"] and _usable(entry) == [("bus", [1, 2, 9, 9])]


@pytest.mark.parametrize("place", ["images/train/a.png", "images/a.png", "train/a.png", "a.png"])
def test_where_images_lie(tmp_path, place):
    put(tmp_path, {place: picture(), "annotations.xml": cvat(cvat_image("a.png", "train"))})
    assert detect(str(tmp_path))[0] == detect(str(tmp_path / "annotations.xml"))[0] == "cvat"
    (entry,) = open_source("cvat", str(tmp_path / "annotations.xml")).entries()
    assert (entry.locator, entry.split) == (place, "train") and boxes_of(entry) == [("car", CAR)]


def test_subsets_are_splits_and_default_is_none(tmp_path):
    names = {"a": "default", "b": "Validation", "c": "Train", "d": "night"}
    files = {f"images/{name}.png": picture(n) for n, name in enumerate(names)}
    put(tmp_path, {**files, "annotations.xml": cvat(*(cvat_image(f"{n}.png", s) for n, s in names.items()))})
    found = {entry.locator[7]: entry.split for entry in open_source("cvat", str(tmp_path)).entries()}
    assert found == {"a": None, "b": "validation", "c": "train", "d": "night"}


def test_a_subset_against_its_folder_is_a_question(tmp_path):
    put(tmp_path, {"images/val/a.png": picture(), "annotations.xml": cvat(cvat_image("val/a.png", "Train"))})
    with pytest.raises(SourceError, match="into train, and its folder is named as validation"):
        list(open_source("cvat", str(tmp_path)).entries())


def test_nothing_vanishes(tmp_path):
    listed = [cvat_image("a.png"), cvat_image("gone.png"), cvat_image("../../out.png"), cvat_image("a.png"), "<image/>"]
    put(tmp_path, {"images/a.png": picture(), "images/bare.png": picture(1), "annotations.xml": cvat(*listed)})
    source = open_source("cvat", str(tmp_path))
    assert [(entry.locator, entry.problem) for entry in source.entries()] == [
        ("images/a.png", ""), ("gone.png", "missing file"), ("../../out.png", "its name leads out of the source"),
        ("images/a.png", "it is listed twice"), ("image None", "it has no name"),
    ]  # fmt: skip
    assert source.remarks == ["1 image is not used, as no annotation file names it: images/bare.png"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<annotations><image name='a'>", "is damaged"),
        ("<annotations><track/></annotations>", "CVAT for video"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>', "declares entities"),
        (f"<annotations>{'<x>' * 100}", "deep"),
    ],
)
def test_a_damaged_or_hostile_file_is_an_error_with_a_way_out(tmp_path, content, said):
    put(tmp_path, {"annotations.xml": content})
    with pytest.raises(SourceError, match=said) as raised:
        list(open_source("cvat", str(tmp_path / "annotations.xml")).entries())
    assert raised.value.hint
