"""Copy-paste: where instances come to lie, and what they and those below them become."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.mix import (
    Pasted,
    around,
    both,
    covered,
    covering,
    moved_instances,
    paste_geometry,
    pasted,
    silhouettes,
)
from augforge.data.annotations import segmentation

INNER, SIZE = (24, 24), (40, 60)
THING = {"box": [4.0, 6.0, 12.0, 16.0], "segmentation": [[4.0, 6.0, 12.0, 6.0, 12.0, 16.0, 4.0, 16.0]], "id": "9"}


def painted(boxes, size, colour):
    image = np.zeros((*size, 3), np.uint8)
    image[silhouettes(boxes, size)] = colour
    return image


def paste(how, first, second, chosen=(0,)):
    """The image and the annotations of a whole copy-paste, and where it pasted."""
    boxes = [second["boxes"][place] for place in chosen]
    geometry = paste_geometry(how, INNER, SIZE, around(silhouettes(boxes, INNER)))
    moved = moved_instances(second, chosen, geometry.point_map(INNER), (0.1, False))
    where = silhouettes(moved["boxes"], SIZE)
    source = geometry.apply(painted(second["boxes"], INNER, 200), "bilinear", 0)
    image = pasted(painted(first["boxes"], SIZE, 100), source, where)
    return image, both(covered(first, where, 0.1), moved), where


def test_at_scale_1_and_a_size_that_fits_pixels_are_copied():
    how = Pasted(scale=24 / 40, place=(0.0, 0.0))
    image, said, where = paste(how, {"boxes": []}, {"boxes": [THING]})
    assert said["boxes"][0]["box"] == [0.0, 0.0, 8.0, 10.0] and where.sum() == 80
    assert (image[:10, :8] == 200).all() and image.sum() == 200 * 80 * 3


@pytest.mark.parametrize(("place", "corner"), [((0.0, 0.0), (0, 0)), ((0.999, 0.999), (52, 30))])
def test_a_place_is_a_share_of_the_room(place, corner):
    _, said, _ = paste(Pasted(scale=24 / 40, place=place), {"boxes": []}, {"boxes": [THING]})
    assert tuple(said["boxes"][0]["box"][:2]) == corner


def test_a_flip_mirrors_the_thing_and_its_keypoints():
    second = {
        "boxes": [THING],
        "keypoints": [{"id": "9", "points": [[5.0, 7.0, 2.0], [11.0, 7.0, 2.0]], "names": ["left", "right"]}],
    }
    _, said, _ = paste(Pasted(scale=24 / 40, flip=True, place=(0.0, 0.0)), {"boxes": [], "keypoints": []}, second)
    assert said["boxes"][0]["box"] == [0.0, 0.0, 8.0, 10.0]
    assert said["keypoints"][0]["points"] == [[1.0, 1.0, 2.0], [7.0, 1.0, 2.0]]


@given(
    st.floats(0.3, 2.0),
    st.booleans(),
    st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
    st.tuples(st.integers(0, 40), st.integers(0, 25), st.integers(2, 20), st.integers(2, 15)),
)
def test_outlines_are_what_is_seen(scale, flip, place, below):
    x, y, width, height = (float(side) for side in below)
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    first = {"boxes": [{"box": [x, y, x + width, y + height], "segmentation": [corners], "label": "below"}]}
    image, said, where = paste(Pasted(scale, flip, place), first, {"boxes": [THING]})
    whole = silhouettes(first["boxes"], SIZE)
    masks = {box.get("label", "above"): segmentation.decoded(box["segmentation"], SIZE) > 0 for box in said["boxes"]}
    assert np.array_equal(masks["above"], where) and where.any()
    seen = whole & ~where
    if "below" in masks:
        assert np.array_equal(masks["below"], seen) and (image[masks["below"]] == 100).all()
    else:
        assert seen.sum() < 0.1 * whole.sum()


def test_a_second_image_covers_the_first_by_its_middle():
    assert covering((30, 40), (30, 40)).ops == ()
    assert all(max(op.size((4, 6000))) <= 64 for op in covering((4, 6000), (64, 64)).ops)
    geometry = covering((10, 40), (20, 20))
    assert geometry.size((10, 40)) == (20, 20)
    assert geometry.point_map((10, 40)).points(np.array([[20.0, 5.0]])).tolist() == [[10.0, 10.0]]


def test_an_outline_that_is_larger_than_its_box_brings_its_own_pixels():
    thing = {**THING, "box": [6.0, 8.0, 9.0, 12.0]}
    image, _, where = paste(Pasted(scale=1.5, place=(0.4, 0.4)), {"boxes": []}, {"boxes": [thing]})
    assert where.sum() > 300 and (image[where] > 100).mean() > 0.95
