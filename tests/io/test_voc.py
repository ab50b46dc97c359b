"""Pascal VOC: corners that are counted from 1 and lie in the box, lists of splits, masks, attributes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from augforge.data.annotations import check_annotations
from augforge.errors import SourceError
from augforge.io import detect, open_source
from tests.bad_inputs import encoded
from tests.io.layouts import CAR, boxes_of, picture, problems_of, put, voc_xml


def one(root, xml, **options):
    """The entry of a data set of one image."""
    put(root, {"JPEGImages/a.jpg": picture(kind="JPEG"), "Annotations/a.xml": xml})
    (entry,) = open_source("voc", str(root), **options).entries()
    return entry


def test_corners_in_the_file_are_counted_from_1_and_lie_in_the_box(tmp_path):
    entry = one(tmp_path, voc_xml(xmin=2, ymin=3, xmax=20, ymax=30))
    ((_, (x0, y0, x1, y1)),) = boxes_of(entry)
    assert (x0, y0, x1, y1) == (1, 2, 20, 30)
    assert (x0 + 1, y0 + 1, x1, y1) == (2, 3, 20, 30), "the file's own corners"
    assert (x1 - x0, y1 - y0) == (19, 28), "the columns 2 to 20, the rows 3 to 30"


def test_corners_of_tools_that_count_from_0(tmp_path):
    entry = one(tmp_path, voc_xml(xmin=2, ymin=3, xmax=20, ymax=30), corners="exclusive")
    assert boxes_of(entry) == [("car", [2, 3, 20, 30])]
    with pytest.raises(SourceError, match="corners 'both'"):
        open_source("voc", str(tmp_path), corners="both")


def test_fractions_and_corners_in_the_other_order(tmp_path):
    entry = one(tmp_path, voc_xml(xmin="20.5", ymin="1.1", xmax="2.0", ymax="30"))
    assert boxes_of(entry) == [("car", [1.0, 0.1, 20.5, 30.0])], "1.1 - 1 of floats would be 0.10000000000000009"


@pytest.mark.parametrize(
    ("corners", "said"),
    [
        ({"xmin": "a", "ymin": 1, "xmax": 5, "ymax": 5}, "a corner is no number"),
        ({"xmin": "nan", "ymin": 1, "xmax": 5, "ymax": 5}, "a corner is no number"),
        ({"xmin": 1, "ymin": 1}, "a corner is no number"),
        ({"xmin": 0, "ymin": 1, "xmax": 5, "ymax": 5}, "is cut at the border"),
        ({"xmin": 90, "ymin": 1, "xmax": 95, "ymax": 5}, "lies outside"),
    ],
)
def test_a_malformed_box_costs_itself_and_is_said(tmp_path, corners, said):
    entry = one(tmp_path, voc_xml(**corners))
    (problem,) = problems_of(entry)
    assert said in problem and not entry.problem


def test_what_is_said_of_an_object_is_kept(tmp_path):
    xml = """<annotation><object><name>bus</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
    <occluded>maybe</occluded><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>
    <actions><jumping>1</jumping></actions><point><x>1</x><x>2</x></point><part><name>head</name></part>
    <polygon><x1>2</x1><y1>3</y1><x2>20</x2><y2>3</y2><x3>11</x3><y3>30</y3></polygon></object></annotation>"""
    (box,) = check_annotations(one(tmp_path, xml).annotations, (32, 48))[0]["boxes"]
    attributes = {"pose": "Left", "truncated": True, "difficult": False, "occluded": "maybe",
                  "actions": {"jumping": "1"}, "point": {"x": ["1", "2"]}}  # fmt: skip
    outline = [[1, 2, 19, 2, 10, 29]]
    assert box == {"box": [1, 2, 20, 30], "label": "bus", "segmentation": outline, "attributes": attributes}


@pytest.mark.parametrize(
    "xml",
    ["<annotation>", "", "<html/>", "<annotation>" * 100,
     '<!DOCTYPE a [<!ENTITY x "y">]><annotation><object><name>&x;</name></object></annotation>',
     '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>'],
)  # fmt: skip
def test_a_damaged_or_hostile_file_costs_its_row(tmp_path, xml):
    entry = one(tmp_path, xml)
    assert (
        entry.problem.startswith("its annotation Annotations/a.xml is damaged: ")
        and entry.locator == "JPEGImages/a.jpg"
    )


@pytest.mark.parametrize(
    ("files", "image"),
    [
        ({"JPEGImages/a.jpg": 0, "Annotations/a.xml": "other.jpg"}, "JPEGImages/a.jpg"),
        ({"images/b.png": 0, "annotations/a.xml": "b.png"}, "images/b.png"),
        ({"a.png": 0, "a.xml": ""}, "a.png"),
        ({"x/b.png": 0, "x/a.xml": "b.png"}, "x/b.png"),
        ({"images/a.jpg": 0, "annotations/xmls/a.xml": "a.jpg"}, "images/a.jpg"),
        ({"Data/train/n1/a.jpg": 0, "Annotations/train/n1/a.xml": "a"}, "Data/train/n1/a.jpg"),
        ({"VOC2007/JPEGImages/a.jpg": 0, "VOC2007/Annotations/a.xml": ""}, "VOC2007/JPEGImages/a.jpg"),
    ],
)
def test_which_image_a_file_is_of(tmp_path, files, image):
    put(tmp_path, {path: picture() if name == 0 else voc_xml(name) for path, name in files.items()})
    assert detect(str(tmp_path))[0] == "voc"
    (entry,) = open_source("voc", str(tmp_path)).entries()
    assert entry.locator == image and boxes_of(entry) == [("car", CAR)]


def test_files_of_one_name_in_several_folders_are_not_confused(tmp_path):
    places = ("1.png", "train/1.png", "valid/1.png", "a/images/1.png", "b/images/1.png")
    notes = {"train/1.xml": 2, "valid/1.xml": 3, "a/annotations/1.xml": 4, "1.xml": 5}
    put(tmp_path, {place: picture(n) for n, place in enumerate(places)})
    put(tmp_path, {path: voc_xml(xmin=n, ymin=1, xmax=20, ymax=20) for path, n in notes.items()})
    put(tmp_path, {"test/1.xml": voc_xml("1.png"), "a/annotations/trimaps/1.png": picture(9)})
    source = open_source("voc", str(tmp_path))
    found = {e.locator: e.annotations["boxes"][0]["box"][0] + 1 for e in source.entries() if e.annotations}
    assert found == {"train/1.png": 2, "valid/1.png": 3, "a/images/1.png": 4, "1.png": 5}
    assert source.remarks == [
        "1 image is not annotated: b/images/1.png",
        "1 XML file is of an image that another one tells of: test/1.xml",
        "1 picture is not read: a/annotations/trimaps/1.png",
    ]


def test_nothing_vanishes(tmp_path):
    put(tmp_path, {"JPEGImages/a.jpg": picture(), "JPEGImages/bare.jpg": picture(1), "JPEGImages/b.jpg": picture(2),
                   "Annotations/a.xml": voc_xml(), "Annotations/gone.xml": voc_xml("gone.jpg"),
                   "Annotations/b.xml": voc_xml(), "Annotations/b2.xml": voc_xml("b.jpg"),
                   "Annotations/odd.xml": "<html/>", "Annotations/out.xml": voc_xml("../../../out.jpg"),
                   "ImageSets/Main/train.txt": "a\nb\nlost\n", "SegmentationObject/a.png": picture(),
                   "SegmentationObject/of_none.png": picture()})  # fmt: skip
    source = open_source("voc", str(tmp_path))
    problems = {entry.locator: entry.problem for entry in source.entries()}
    odd = "its annotation Annotations/odd.xml is damaged: its root is 'html', not annotation"
    assert problems.pop("Annotations/odd.xml#image") == odd
    assert problems == {
        "JPEGImages/a.jpg": "",
        "JPEGImages/b.jpg": "",
        "JPEGImages/bare.jpg": "",
        "JPEGImages/gone.jpg": "missing file",
        "../../out.jpg": "its name leads out of the source",
    }
    assert source.remarks == [
        "1 image is not annotated: JPEGImages/bare.jpg",
        "1 XML file is of an image that another one tells of: Annotations/b2.xml",
        "1 image is in no list of ImageSets: JPEGImages/bare.jpg",
        "1 name is in a list of ImageSets, but of no image: lost",
        "1 picture is not read: SegmentationObject/of_none.png",
    ]
    assert "boxes" not in next(e for e in source.entries() if e.locator == "JPEGImages/bare.jpg").annotations


def test_parts_of_objects_are_not_read_and_that_is_said(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    entry = one(tmp_path, voc_xml().replace("</object>", part))
    source = open_source("voc", str(tmp_path))
    assert boxes_of(entry) == [("car", CAR)]
    assert source.remarks == ["1 XML file is read without the parts of its objects: Annotations/a.xml"]


def test_masks_are_of_the_segmented_classes(tmp_path):
    mask = encoded(Image.new("P", (48, 32), 3), "PNG")
    put(tmp_path, {"SegmentationClass/a.png": mask})
    entry = one(tmp_path, voc_xml())
    source = open_source("voc", str(tmp_path))
    assert entry.pictures and source.read_picture(entry.locator, "mask") == mask


@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({"Main/train": "a", "Main/val": "b", "Main/trainval": "a\nb"}, ["train", "validation"]),
        ({"Main/trainval": "a", "Main/test": "b"}, ["train", "test"]),
        ({"Main/train": "a", "Main/bus_val": "b  1", "Main/val": "b"}, ["train", "validation"]),
        ({"Segmentation/train": "a", "Segmentation/val": "b"}, ["train", "validation"]),
        ({"Main/train": "a", "Segmentation/train": "b"}, ["train", None]),
        ({"Main/train": "a.jpg", "Main/val": "b.jpg"}, ["train", "validation"]),
    ],
)
def test_lists_of_splits(tmp_path, lists, splits):
    sets = {f"ImageSets/{name}.txt": content for name, content in lists.items()}
    put(
        tmp_path,
        {"JPEGImages/a.jpg": picture(), "JPEGImages/b.jpg": picture(1), "Annotations/a.xml": voc_xml(), **sets},
    )
    assert [entry.split for entry in open_source("voc", str(tmp_path)).entries()] == splits


def test_an_image_in_two_lists_is_a_question(tmp_path):
    put(tmp_path, {"JPEGImages/a.jpg": picture(), "Annotations/a.xml": voc_xml(), "ImageSets/Main/train.txt": "a",
                   "ImageSets/Main/val.txt": "a"})  # fmt: skip
    with pytest.raises(SourceError, match="into train and into validation"):
        list(open_source("voc", str(tmp_path)).entries())


@pytest.mark.parametrize("orientation", [0, 3, 6])
def test_boxes_agree_with_supervision_on_upright_pictures_too(tmp_path, orientation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supervision

    rng = np.random.default_rng(orientation)
    for number in range(4):
        (xmin, ymin), (xmax, ymax) = rng.integers(1, 15, 2), rng.integers(16, 32, 2)
        xml = voc_xml(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
        put(tmp_path, {f"images/{number}.jpg": picture(number, "JPEG", orientation), f"annotations/{number}.xml": xml})
    theirs = supervision.DetectionDataset.from_pascal_voc(str(tmp_path / "images"), str(tmp_path / "annotations"))
    for entry in open_source("voc", str(tmp_path)).entries():
        expected = theirs.annotations[str(tmp_path / entry.locator)].xyxy
        size = (32, 48) if orientation < 5 else (48, 32)
        assert np.array_equal([box for _, box in boxes_of(entry, size)], expected)
