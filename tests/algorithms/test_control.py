"""Control pictures: known colours, and what is nearer is brighter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.control import (
    class_colours,
    draw_boxes,
    draw_depth,
    draw_edges,
    draw_mask,
    name_colour,
    parse_colours,
)


def test_the_colours_of_voc() -> None:
    """The first classes and the last one, as in the development kit of PASCAL VOC."""
    colours = class_colours()
    assert colours[:9].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert colours[20].tolist() == [0, 64, 128]
    assert colours[255].tolist() == [0, 0, 0]
    assert len(np.unique(colours[:255], axis=0)) == 255


def test_a_mask_in_colours() -> None:
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    assert draw_mask(mask, {}).tolist() == [[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], [0, 0, 0]]]
    given = parse_colours(["1=#0102ff", "255=#ffffff", "cat=#000000", "999=#000000"])
    assert draw_mask(mask, given)[[0, 1], [1, 1]].tolist() == [[1, 2, 255], [255, 255, 255]]
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert (draw_mask(picture, given) == picture).all()


@pytest.mark.parametrize("wrong", ["1", "1=red", "=#ff0000", "1=#ff00", "1=#gg0000", "1=#ff00000"])
def test_no_colour(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not NAME=#rrggbb"):
        parse_colours([wrong])


def test_a_name_may_have_any_letters() -> None:
    assert parse_colours(["a=b=#000001"]) == {"a=b": (0, 0, 1)}
    assert name_colour("cat") != name_colour("dog")
    assert max(name_colour("cat")) == 255


def test_small_boxes_lie_on_large_ones() -> None:
    boxes = [{"box": [1.0, 1.0, 3.0, 2.0], "label": "cat"}, {"box": [0.0, 0.0, 6.0, 4.0], "label": "dog"}]
    colours = {"cat": (1, 1, 1), "dog": (2, 2, 2)}
    wanted = np.full((5, 8), 0)
    wanted[:4, :6] = 2
    wanted[1, 1:3] = 1
    for order in (boxes, boxes[::-1]):
        assert (draw_boxes(order, (5, 8), colours) == wanted[..., None]).all()
    assert not draw_boxes([], (5, 8), {}).any()
    assert (draw_boxes([{"box": [0, 0, 1, 1]}], (1, 1), {}) == 255).all()
    assert draw_boxes([{"box": [0, 0, 1, 1], "label": "x"}], (1, 1), {})[0, 0].tolist() == list(name_colour("x"))


@given(st.lists(st.floats(-2, 12), min_size=4, max_size=4))
def test_pixels_of_a_box_are_those_whose_centres_lie_inside(sides: list[float]) -> None:
    left, right = sorted(sides[:2])
    top, bottom = sorted(sides[2:])
    drawn = draw_boxes([{"box": [left, top, right, bottom]}], (9, 10), {})[..., 0] > 0
    rows, columns = np.indices((9, 10)) + 0.5
    inside = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    assert (drawn == inside).all()


def test_edges_are_white() -> None:
    assert draw_edges(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]
    assert draw_edges(np.array([[0.5, 1.2]])).tolist() == [[[128] * 3, [255] * 3]]


def test_depth_is_inverse_and_has_no_unit() -> None:
    depth = np.array([[1.0, 2.0, 4.0]])
    assert draw_depth(depth)[0, :, 0].tolist() == [255, 85, 0], "1/d of 1, 1/2 and 1/4 between 1/4 and 1"
    assert (draw_depth(depth) == draw_depth(1000 * depth)).all()
    assert (draw_depth((1000 * depth).astype(np.uint16)) == draw_depth(depth)).all()


def test_unknown_depths_are_black() -> None:
    assert draw_depth(np.array([[1.0, 2.0, 0.0, np.nan, np.inf]]))[0, :, 0].tolist() == [255, 0, 0, 0, 0]
    assert draw_depth(np.array([[3.0, 3.0, 0.0]]))[0, :, 0].tolist() == [128, 128, 0]
    assert not draw_depth(np.zeros((2, 2))).any()


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=8))
def test_what_is_nearer_is_at_least_as_bright(depths: list[float]) -> None:
    drawn = draw_depth(np.array([depths]))[0, :, 0].astype(int)
    order = np.argsort(depths)
    assert (np.diff(drawn[order]) <= 0).all()
