"""Two scenes in one: pixels, label maps, things and labels say the same."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.geometry import Crop, Geometry
from augforge.algorithms.mix import Scene, blend, copy_paste, overlay, window

SIZE = (12, 16)


def thing(x0, y0, x1, y1, **more):
    corners = [float(v) for v in (x0, y0, x1, y0, x1, y1, x0, y1)]
    return {"box": [float(x0), float(y0), float(x1), float(y1)], "segmentation": [corners], **more}


def scene(colour, mask=None, **said):
    pictures = {} if mask is None else {"mask": np.full(SIZE, mask, np.uint8)}
    return Scene(np.full((*SIZE, 3), colour, np.uint8), said, pictures)


def test_an_overlay_takes_pixels_and_labels_of_the_same_places():
    where = window((4, 0, 16, 12), SIZE)
    made = overlay(scene(10, 1, boxes=[thing(0, 0, 8, 12)]), scene(20, 2, boxes=[thing(2, 2, 6, 6)]), where, 0.5)
    assert (made.pixels[where] == 20).all() and (made.pixels[~where] == 10).all()
    assert (made.pictures["mask"][where] == 2).all() and (made.pictures["mask"][~where] == 1).all()
    assert [box["box"] for box in made.annotations["boxes"]] == [[0, 0, 4, 12], [4, 2, 6, 6]]


@pytest.mark.parametrize(("first", "second", "label"), [(1, None, 255), (None, 2, None)])
def test_a_label_map_of_one_alone_is_void_or_gone(first, second, label):
    where = window((4, 0, 16, 12), SIZE)
    mask = overlay(scene(1, first), scene(2, second), where, 0.1).pictures.get("mask")
    assert mask is None if label is None else ((mask == label) == where).all()


def test_where_nothing_is_taken_the_first_scene_is_the_result():
    first, second = scene(10, 1, caption="a", boxes=[]), scene(20, 2)
    assert overlay(first, second, np.zeros(SIZE, bool), 0.1) is first
    assert blend(first, second, 1.0, 0.1) is first and blend(first, second, 0.0, 0.1) is second
    mixed = blend(first, scene(20, 2, boxes=[thing(1, 1, 3, 3)]), 0.5, 0.1)
    assert mixed.pictures == {} and mixed.annotations == {"boxes": [thing(1, 1, 3, 3)]} and (mixed.pixels == 15).all()


@pytest.mark.parametrize(("lam", "left"), [(0.19, [2]), (0.2, [1, 2]), (0.8125, [1])])
def test_a_blend_has_no_things_of_a_scene_that_is_hardly_seen(lam, left):
    one, two = (scene(10, boxes=[thing(0, 0, n, n)], keypoints=[{"points": [[1.0, 1.0, n]]}]) for n in (1, 2))
    made = blend(one, two, lam, 0.2).annotations
    assert [box["box"][2] for box in made["boxes"]] == left == [p["points"][0][2] for p in made["keypoints"]]


def test_pasted_instances_carry_their_labels_and_what_is_below_loses_them():
    first = scene(
        10, 1, boxes=[thing(0, 0, 4, 4, label="cat"), thing(8, 4, 12, 8, label="dog")],
        labels=["cat", "dog", "sky"], caption="a cat and a dog", extra={"x": {"type": "int64", "value": 1}},
    )  # fmt: skip
    second = scene(20, 2, boxes=[thing(4, 4, 9, 9, label="owl"), thing(0, 0, 1, 1, label="bee")])
    made = copy_paste(first, second, [0], Geometry((Crop(4, 4, *SIZE),)), (0.2, False))
    assert [(box["label"], box["box"]) for box in made.annotations["boxes"]] == [
        ("dog", [8, 4, 12, 8]), ("owl", [0, 0, 5, 5]),
    ]  # fmt: skip
    assert made.annotations["labels"] == ["dog", "sky", "owl"] and "caption" not in made.annotations
    assert made.annotations["extra"] == first.annotations["extra"]
    where = window((0, 0, 5, 5), SIZE)
    assert ((made.pixels[..., 0] == 20) == where).all() and ((made.pictures["mask"] == 2) == where).all()


def test_without_outlines_only_whole_boxes_are_pasted_if_asked_for():
    first, second = scene(10, boxes=[]), scene(20, boxes=[{"box": [4.0, 4.0, 9.0, 9.0]}])
    assert copy_paste(first, second, [0], Geometry((Crop(0, 0, *SIZE),)), (0.1, False)) is first
    made = copy_paste(first, second, [0], Geometry((Crop(0, 0, *SIZE),)), (0.1, True))
    assert made.annotations["boxes"] == [{"box": [4.0, 4.0, 9.0, 9.0]}] and (made.pixels == 20).sum() == 25 * 3


def test_a_moved_scene_takes_its_label_map_and_its_things_along():
    moved = scene(20, 2, boxes=[thing(4, 4, 9, 9)], caption="x").moved(Geometry((Crop(-2, -3, *SIZE),)), 0.1)
    assert moved.annotations["boxes"][0]["box"] == [7, 6, 12, 11] and "caption" not in moved.annotations
    assert (
        (moved.pictures["mask"][2:, 3:] == 2).all()
        and (moved.pictures["mask"][:2] == 255).all()
        and (moved.pixels[:2] == 0).all()
    )


def numbered(colour, numbers, *boxes):
    instances = np.zeros(SIZE, np.uint16)
    for number, (x0, y0, x1, y1) in zip(numbers, boxes, strict=True):
        instances[y0:y1, x0:x1] = number
    said = [{"box": [float(v) for v in box], "id": str(number)} for number, box in zip(numbers, boxes, strict=True)]
    depth = np.full(SIZE, colour, np.uint16)
    return Scene(np.full((*SIZE, 3), colour, np.uint8), {"boxes": said}, {"instances": instances, "depth": depth})


def test_maps_of_instances_and_the_ids_of_boxes_stay_together():
    first, second = numbered(10, [1, 2], (0, 0, 4, 4), (8, 4, 12, 8)), numbered(20, [1, 5], (2, 2, 6, 6), (7, 7, 9, 9))
    where = window((2, 0, 16, 12), SIZE)
    made = overlay(first, second, where, 0.1)
    assert [box["id"] for box in made.annotations["boxes"]] == ["1", "6", "5"]
    assert set(np.unique(made.pictures["instances"])) == {0, 1, 5, 6}
    assert ((made.pictures["instances"] == 6) == window((2, 2, 6, 6), SIZE)).all()
    assert ((made.pictures["depth"] == 20) == where).all()
    no_depth = overlay(first, Scene(second.pixels, second.annotations), where, 0.1)
    assert (no_depth.pictures["depth"][where] == 0).all() and set(no_depth.pictures) == {"depth"}


def test_a_map_of_instances_gives_boxes_their_outlines():
    second = numbered(20, [3, 4], (4, 4, 9, 9), (0, 0, 2, 2))
    second.pictures["instances"][4, 4] = 0
    assert copy_paste(scene(10, boxes=[]), second, [0], Geometry((Crop(0, 0, *SIZE),)), (0.1, False)).pixels.max() == 10
    made = copy_paste(numbered(10, []), second.outlined(), [0], Geometry((Crop(2, 2, *SIZE),)), (0.1, False))
    assert (made.pixels == 20).sum() == 24 * 3 and made.annotations["boxes"][0]["id"] == "3"
    assert ((made.pictures["instances"] == 3) == (made.pixels[..., 0] == 20)).all()


def test_pictures_of_another_size_are_left_out():
    large = Scene(np.zeros((*SIZE, 3), np.uint8), {}, {"heat": np.zeros((2, 2, 3), np.uint8)})
    assert overlay(large, large, window((0, 0, 4, 4), SIZE), 0.1).pictures == {}
    assert large.moved(Geometry((Crop(0, 0, 3, 3),)), 0.1).pictures == {}
