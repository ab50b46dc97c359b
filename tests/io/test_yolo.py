"""YOLO: boxes, polygons and keypoints in shares of the sides, and what `data.yaml` may say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from augforge.data.annotations import check_annotations
from augforge.data.images import inspect
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.yolo_data import YoloData
from augforge.io.yolo_lines import read_lines
from tests.io.layouts import CAR, SIZE, YOLO_LINE, boxes_of, picture, problems_of, put

NAMES = "names: [car, bus]\n"
TRAIN = f"{NAMES}train: images\n"


def one(root, lines, data=TRAIN, image=None):
    """The entry of a data set of one image."""
    put(root, {"images/a.png": image or picture(), "labels/a.txt": lines, "data.yaml": data})
    (entry,) = open_source("yolo", str(root)).entries()
    return entry


def test_boxes_are_corners_in_px_in_the_order_of_the_lines(tmp_path):
    entry = one(tmp_path, "1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.125 0.25\n")
    assert boxes_of(entry) == [("bus", CAR), ("car", [9, 4, 15, 12])]
    assert entry.label is None and entry.annotations["labels"] == ["bus", "car"]
    swapped = boxes_of(entry, (48, 32))
    assert swapped != boxes_of(entry), "the wrong variant: x in shares of the height"


def test_a_polygon_is_the_outline_of_the_box_around_it(tmp_path):
    entry = one(tmp_path, "1 0.25 0.25 0.5 0.25 0.375 0.75\n")
    (box,) = check_annotations(entry.annotations, SIZE)[0]["boxes"]
    assert box == {"box": [12, 8, 24, 24], "label": "bus", "segmentation": [[12, 8, 24, 8, 18, 24]]}


@pytest.mark.parametrize(
    ("shape", "points", "found"),
    [
        ("[2, 3]", "0.25 0.5 2 0 0 0", [[12, 16, 2], [0, 0, 0]]),
        ("[2, 3]", "0.25 0.5 1 0.5 0.5 2.0", [[12, 16, 1], [24, 16, 2]]),
        ("[2, 2]", "0.25 0.5 0 0", [[12, 16, 2], [0, 0, 0]]),
    ],
)
def test_a_pose_is_a_box_and_its_keypoints(tmp_path, shape, points, found):
    more = f"kpt_shape: {shape}\nflip_idx: [1, 0]\nkpt_names:\n  0: [left_eye, right_eye]\n"
    entry = one(tmp_path, f"0 0.5 0.5 0.25 0.5 {points}\n0 0.5 0.5 0.5 0.5\n", TRAIN + more)
    good, wrong = check_annotations(entry.annotations, SIZE)
    names = ["left_eye", "right_eye"]
    assert good["keypoints"] == [{"points": found, "names": names, "label": "car", "id": "1", "flip": [1, 0]}]
    assert good["boxes"][0] == {"box": CAR, "label": "car", "id": "1"} and len(good["boxes"]) == 2 and not wrong


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("car 0.5 0.5 0.2 0.2", "'car' is no number of a class"),
        ("-1 0.5 0.5 0.2 0.2", "'-1' is no number of a class"),
        ("0.5 0.5 0.5 0.2 0.2", "'0.5' is no number of a class"),
        ("7 0.5 0.5 0.2 0.2", "class 7 has no name"),
        ("0 0.5 x 0.2 0.2", "'x' is no number"),
        ("0 0.5 nan 0.2 0.2", "'nan' is no number"),
        ("0 0.5 1e999 0.2 0.2", "'1e999' is no number"),
        ("0 0.5 0.5", "2 numbers after the class are no box, polygon or pose"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "7 numbers after the class"),
        ("0", "0 numbers after the class"),
        ("0 0.5 0.5 0 0.2", "has no area"),
        ("0 0.5 0.5 -0.2 0.2", "has no area"),
        ("0 3 0.5 0.2 0.2", "lies outside of the image"),
    ],
)
def test_a_malformed_line_costs_its_own_box(tmp_path, line, said):
    entry = one(tmp_path, f"{line}\n\n1 0.5 0.5 0.25 0.5\n")
    good, wrong = check_annotations(entry.annotations, SIZE)
    assert [box["label"] for box in good["boxes"]] == ["bus"] and not entry.problem
    assert len(wrong) == 1 and said in wrong[0] and wrong[0].endswith("left out")


def test_how_tools_write_numbers(tmp_path):
    entry = one(tmp_path, "\ufeff1.0 5e-1 .5 0.25 0.5 0.875\r\n")
    (box,) = check_annotations(entry.annotations, SIZE)[0]["boxes"]
    assert box == {"box": CAR, "label": "bus", "attributes": {"confidence": 0.875}}


def test_a_box_that_reaches_beyond_the_image_is_cut_and_said(tmp_path):
    entry = one(tmp_path, "0 0.9 0.5 0.25 0.5\n")
    assert "is cut at the border" in problems_of(entry)[0]


def test_an_image_without_labels_has_no_boxes_only_where_others_have_some(tmp_path):
    files = {f"images/{s}/{n}.png": picture(n) for s in ("train", "test") for n in range(2)}
    put(tmp_path, {**files, "labels/train/0.txt": YOLO_LINE, "labels/train/9.txt": YOLO_LINE, "data.yaml":
                   f"{NAMES}train: images/train\ntest: images/test\nval:\n"})  # fmt: skip
    source = open_source("yolo", str(tmp_path))
    said = {entry.locator: entry.annotations.get("boxes") for entry in source.entries()}
    assert said["images/train/1.png"] == [] and said["images/test/0.png"] is None
    assert source.remarks == ["1 label file is of no image: labels/train/9.txt"]


def test_an_empty_label_file_says_that_there_is_nothing(tmp_path):
    entry = one(tmp_path, "\n")
    assert entry.annotations == {"boxes": []} and entry.label is None


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("names: [car, 'no', yes, 10]", ["car", "no", "yes", "10"]),
        ("names: {0: car, 1: no, 10: x, 2: y}", ["car", "no", "y", "x"]),
        ("names:\n  - car\n  - a b, c", ["car", "a b, c"]),
        ("nc: 2", ["0", "1"]),
    ],
)
def test_names_as_a_list_or_by_number_stay_as_they_are_written(tmp_path, names, classes):
    one(tmp_path, YOLO_LINE, f"{names}\ntrain: images\n")
    assert open_source("yolo", str(tmp_path)).classes() == classes


def test_a_data_file_may_name_the_classes_only(tmp_path):
    put(tmp_path, {"images/val/a.png": picture(), "labels/val/a.txt": YOLO_LINE, "data.yaml": NAMES})
    (entry,) = open_source(*detect(str(tmp_path))).entries()
    assert (entry.label, entry.split) == ("car", "validation")


def test_lists_beside_the_images_are_splits(tmp_path):
    lists = {"train.txt": "images/a.png\n", "train2.txt": "images/b.png\n", "val.txt": "images/c.png\n"}
    put(tmp_path, {**{f"images/{name}.png": picture(n) for n, name in enumerate("abcd")}, "labels/a.txt": YOLO_LINE})
    put(tmp_path, {"classes.txt": "car\n", "test_notes.txt": "no list\n", **lists})
    source = open_source(*detect(str(tmp_path)))
    splits = {entry.locator[7]: entry.split for entry in source.entries()}
    assert splits == {"a": "train", "b": "train", "c": "validation"}
    assert source.remarks == ["1 image is in no split of the lists: images/d.png"]


def test_without_names_classes_are_called_by_their_numbers_and_that_is_said(tmp_path):
    put(tmp_path, {"images/a.png": picture(), "labels/a.txt": f"11{YOLO_LINE[1:]}2{YOLO_LINE[1:]}"})
    source = open_source("yolo", str(tmp_path))
    assert source.classes() == ["2", "11"]
    assert source.remarks == ["no file names the classes: they are called by their numbers"]


@pytest.mark.parametrize(
    "content",
    ["names: [a", "[]", "names: car\ntrain: images", "names: {a: b}\ntrain: images", "names: [[a]]\ntrain: images",
     f"{TRAIN}kpt_shape: [3, 4]", f"{TRAIN}kpt_shape: x", f"{TRAIN}flip_idx: [a]", f"{NAMES}train: elsewhere"],
)  # fmt: skip
def test_a_damaged_data_file_is_an_error_with_a_way_out(tmp_path, content):
    put(tmp_path, {"images/a.png": picture(), "labels/a.txt": YOLO_LINE, "data.yaml": content})
    with pytest.raises(SourceError) as raised:
        list(open_source("yolo", str(tmp_path / "data.yaml")).entries())
    assert raised.value.hint and "data.yaml" in raised.value.message


def test_several_data_files_are_a_question(tmp_path):
    put(tmp_path, {"images/a.png": picture(), "a.yaml": TRAIN, "b.yaml": TRAIN})
    with pytest.raises(SourceError, match=r"a\.yaml, b\.yaml"):
        open_source("yolo", str(tmp_path))
    assert detect(str(tmp_path / "a.yaml"))[0] == "yolo"
    assert len(list(open_source("yolo", str(tmp_path / "a.yaml")).entries())) == 1


@pytest.mark.parametrize("place", ["/etc", "../..", "../../secret", "images/../../secret"])
def test_nothing_outside_of_the_folder_is_read(tmp_path, place):
    put(tmp_path, {"secret/b.png": picture(1)})
    data = f"{NAMES}train: images\nval: {place}\n"
    put(tmp_path / "a" / "set", {"images/a.png": picture(), "labels/a.txt": YOLO_LINE, "data.yaml": data})
    source = open_source("yolo", str(tmp_path / "a" / "set"))
    assert [entry.locator for entry in source.entries()] == ["images/a.png"]
    assert source.remarks == [f"data.yaml names {place}, which is not there"]


def test_the_folder_that_paths_start_from_can_be_given(tmp_path):
    put(tmp_path, {"cfg/cars.yaml": f"path: ../data\n{TRAIN}", "data/images/a.png": picture(),
                   "data/labels/a.txt": YOLO_LINE})  # fmt: skip
    with pytest.raises(SourceError, match="no image where") as raised:
        list(open_source("yolo", str(tmp_path / "cfg" / "cars.yaml")).entries())
    assert "option path" in raised.value.hint
    (entry,) = open_source("yolo", str(tmp_path / "cfg" / "cars.yaml"), path=str(tmp_path / "data")).entries()
    assert boxes_of(entry) == [("car", CAR)]


def test_lines_of_a_list_that_name_nothing_are_rows_with_a_problem(tmp_path):
    listed = "images/a.png\n/gone/b.png\n../../c.png\n\nimages/d.png\n/home/me/cars/images/a2.png\n"
    put(tmp_path, {"images/a.png": picture(), "images/a2.png": picture(1), "labels/a.txt": YOLO_LINE,
                   "data.yaml": f"{NAMES}train: list.txt\n", "list.txt": listed})  # fmt: skip
    problems = {entry.locator: entry.problem for entry in open_source("yolo", str(tmp_path)).entries()}
    outside = "its name leads out of the source"
    assert problems == {"images/a.png": "", "/gone/b.png": outside, "../../c.png": outside,
                        "images/d.png": "missing file", "images/a2.png": ""}  # fmt: skip


@pytest.mark.parametrize(
    "data",
    ["train: images/train\nval: images/train\n", "train: images\nval: images/val\n",
     "train: [images/train, images/val]\nval: images/val\n", "train: images/train\ntest: [images/train]\n"],
)  # fmt: skip
def test_an_image_of_two_splits_is_a_question(tmp_path, data):
    put(tmp_path, {"images/train/a.png": picture(), "images/val/b.png": picture(1), "labels/train/a.txt": YOLO_LINE,
                   "data.yaml": NAMES + data})  # fmt: skip
    for options in ({}, {"split": "train"}):
        with pytest.raises(SourceError, match=r"into train and into (validation|test)"):
            list(open_source("yolo", str(tmp_path), **options).entries())


def test_to_train_on_a_folder_that_is_named_as_an_evaluation_split_has_to_be_asked_for(tmp_path):
    put(tmp_path, {"images/train/a.png": picture(), "images/val/b.png": picture(1), "labels/train/a.txt": YOLO_LINE,
                   "data.yaml": f"{NAMES}train: [images/train, images/val]\n"})  # fmt: skip
    with pytest.raises(SourceError, match=r"images/val/b\.png into train, and its folder") as raised:
        list(open_source("yolo", str(tmp_path)).entries())
    assert "split: train" in raised.value.hint
    assert len(list(open_source("yolo", str(tmp_path), split="train").entries())) == 2


def test_images_in_no_split_are_left_out_and_said(tmp_path):
    put(tmp_path, {"images/a.png": picture(), "other/b.png": picture(1), "labels/a.txt": YOLO_LINE, "data.yaml": TRAIN})
    source = open_source("yolo", str(tmp_path))
    assert [entry.locator for entry in source.entries()] == ["images/a.png"]
    assert source.remarks == ["1 image is in no split of data.yaml: other/b.png"]


def test_linked_folders_inside_of_the_source_are_followed(tmp_path):
    put(tmp_path, {"real/images/a.png": picture(), "real/labels/a.txt": YOLO_LINE, "data.yaml": TRAIN})
    for name in ("images", "labels"):
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    entries = list(open_source("yolo", str(tmp_path)).entries())
    assert [boxes_of(entry) for entry in entries] == [[("car", CAR)]]


def test_a_long_line_and_a_long_number_end_quickly():
    boxes, _ = read_lines(f"0 0.5 0.5 0.2 0.{'1' * 5000}\n0 {'0.5 ' * 99_999}\n0 1e-99999999 0.5 1 1", YoloData({}))
    assert [isinstance(box, str) for box in boxes] == [True, True, False]


def random_set(root, rng, orientation):
    """A few images with random boxes and polygons; JPEG files with an EXIF orientation."""
    files = {"data.yaml": TRAIN}
    for number in range(4):
        files[f"images/{number}.jpg"] = picture(number, "JPEG", orientation)
        centres, sides = rng.uniform(0.3, 0.7, (3, 2)), rng.uniform(0.05, 0.5, (3, 2))
        lines = [f"{rng.integers(2)} {' '.join(map(repr, map(float, row)))}" for row in np.hstack([centres, sides])]
        files[f"labels/{number}.txt"] = "\n".join(lines) + "\n"
    return put(root, files)


@pytest.mark.parametrize("orientation", [0, 1, 3, 5, 6, 8])
def test_boxes_agree_with_supervision_on_upright_pictures_too(tmp_path, orientation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supervision

    root = random_set(tmp_path, np.random.default_rng(orientation), orientation)
    theirs = supervision.DetectionDataset.from_yolo(str(root / "images"), str(root / "labels"), str(root / "data.yaml"))
    source = open_source("yolo", str(root))
    for entry in source.entries():
        facts = inspect(source.read(entry.locator))
        ours = boxes_of(entry, (facts.height, facts.width))
        expected = theirs.annotations[str(root / entry.locator)]
        assert np.allclose([box for _, box in ours], expected.xyxy, atol=1e-4)
        assert [label for label, _ in ours] == [theirs.classes[number] for number in expected.class_id]
        turned = boxes_of(entry, (facts.width, facts.height))
        assert not np.allclose([box for _, box in turned], expected.xyxy, atol=1e-4), "the wrong variant: not upright"
