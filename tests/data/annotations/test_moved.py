"""Annotations follow the pixels: known answers, and a mask painted from the boxes as the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.algorithms.fields import FieldSpec
from augforge.algorithms.geometry import (
    Affine,
    Crop,
    Fields,
    Flip,
    Geometry,
    Jigsaw,
    Op,
    Perspective,
    Resize,
    Shear,
    Shift,
    Turn,
    Warp,
)
from augforge.data.annotations import move_annotations, segmentation

SIZE = (24, 40)
BOX = [4.0, 6.0, 14.0, 16.0]
SQUARE = [[4.0, 6.0, 14.0, 6.0, 14.0, 16.0, 4.0, 16.0]]


def moved(kind: str, value: object, *ops: Op, min_visibility: float = 0.0) -> object:
    point_map = Geometry(ops).point_map(SIZE)
    return move_annotations({kind: value}, point_map, min_visibility).get(kind)


def moved_box(*ops: Op) -> list[float]:
    (box,) = moved("boxes", [{"box": BOX, "label": "cat"}], *ops)
    assert box["label"] == "cat"
    return box["box"]


@pytest.mark.parametrize(
    ("op", "right"),
    [
        (Flip("horizontal"), [26, 6, 36, 16]),
        (Flip("vertical"), [4, 8, 14, 18]),
        (Turn(1), [6, 26, 16, 36]),  # counter-clockwise: (x, y) -> (y, width - x)
        (Turn(2), [26, 8, 36, 18]),
        (Shift(2, -3), [1, 8, 11, 18]),
        (Crop(6, 4, 10, 10), [0, 0, 10, 10]),
        (Crop(0, 9, 24, 20), [0, 6, 5, 16]),
        (Resize(48, 80), [8, 12, 28, 32]),
        (Jigsaw(seed=0, swaps=0), BOX),
        (Warp(seed=1, amplitude=0.0), BOX),
    ],
)
def test_where_a_box_goes(op, right):
    assert moved_box(op) == pytest.approx(right, abs=1e-9 if op.lines != "cut" else 1e-6)


def test_flips_and_turns_are_exact_and_their_own_way_back():
    for there, back in ((Flip(), Flip()), (Flip("vertical"), Flip("vertical")), (Turn(1), Turn(3))):
        value = [{"box": [1.25, 2.5, 7.0, 9.75], "segmentation": SQUARE}]
        point_map = Geometry((there, back)).point_map(SIZE)
        (found,) = move_annotations({"boxes": value}, point_map, 0)["boxes"]
        assert found["box"] == value[0]["box"]
        assert sorted(found["segmentation"][0]) == sorted(SQUARE[0])


def test_too_small_a_share_of_a_box_is_none():
    cut = Crop(0, 13, 24, 20)  # a tenth of the box is left
    assert moved("boxes", [{"box": BOX}], cut, min_visibility=0.11) == []
    assert moved("boxes", [{"box": BOX}], cut, min_visibility=0.09) == [{"box": [0, 6, 1, 16]}]
    assert moved("boxes", [{"box": BOX}], Crop(0, 14, 24, 20)) == []


def test_a_polygon_is_cut_at_the_border_and_keeps_its_area():
    (found,) = moved("boxes", [{"box": BOX, "segmentation": SQUARE}], Crop(0, 9, 24, 20))
    points = np.array(found["segmentation"][0]).reshape(-1, 2)
    assert points.min(0).tolist() == [0, 6] and points.max(0).tolist() == [5, 16]
    assert segmentation.decoded(found["segmentation"], (24, 20)).sum() == 50


@pytest.mark.parametrize("op", [Flip(), Turn(1), Shift(2, 3), Crop(3, 2, 20, 30), Jigsaw(seed=3, swaps=3)])
def test_run_lengths_move_as_masks_do(op):
    inside = np.zeros(SIZE, np.uint8)
    inside[6:16, 4:14] = 1
    inside[8:10, 6:9] = 0
    (found,) = moved("boxes", [{"box": BOX, "segmentation": segmentation.encoded(inside)}], op)
    want = op.move_label(inside, 0)
    assert (segmentation.decoded(found["segmentation"], want.shape) == want).all()


def test_a_polygon_in_pieces_becomes_run_lengths():
    jigsaw = Jigsaw(seed=3, swaps=3)
    (found,) = moved("boxes", [{"box": BOX, "segmentation": SQUARE}], jigsaw)
    want = jigsaw.move_label(segmentation.decoded(SQUARE, SIZE), 0)
    assert (segmentation.decoded(found["segmentation"], SIZE) == want).all() and want.sum() == 100


NAMES = ["nose", "left_eye", "right_eye"]
POINTS = [[10.0, 5.0, 2.0], [12.0, 4.0, 1.0], [8.0, 4.0, 2.0]]


def test_left_and_right_change_places_in_a_mirror_only():
    (mirrored,) = moved("keypoints", [{"points": POINTS, "names": NAMES}], Flip())
    assert mirrored["points"] == [[30, 5, 2], [32, 4, 2], [28, 4, 1]], "the left eye is the one further right again"
    (turned,) = moved("keypoints", [{"points": POINTS, "names": NAMES}], Flip(), Flip("vertical"))
    assert turned["points"] == [[30, 19, 2], [28, 20, 1], [32, 20, 2]], "two mirrors are a turn"
    (unnamed,) = moved("keypoints", [{"points": POINTS}], Flip())
    assert unnamed["points"][1] == [28, 4, 1]


def test_places_in_a_mirror_that_are_given_count_before_names():
    (mirrored,) = moved("keypoints", [{"points": POINTS, "names": NAMES, "flip": [1, 0, 2]}], Flip())
    assert mirrored["points"] == [[28, 4, 1], [30, 5, 2], [32, 4, 2]] and mirrored["flip"] == [1, 0, 2]


def test_a_point_outside_is_not_labelled():
    (found,) = moved("keypoints", [{"points": POINTS}], Crop(0, 9, 24, 20))
    assert found["points"] == [[1, 5, 2], [3, 4, 1], [0, 0, 0]]
    assert moved("keypoints", [{"points": POINTS}], Crop(0, 20, 24, 20)) == []


def test_what_has_no_place_stays():
    whole = {"caption": "a cat", "labels": ["a", "b"], "soft_label": {"a": 0.25, "b": 0.75}}
    assert move_annotations(whole, Geometry((Flip(),)).point_map(SIZE), 0) == whole


SEEDS = st.integers(0, 2**31 - 1)
OPS = st.one_of(
    st.builds(Flip, st.sampled_from(["horizontal", "vertical"])),
    st.builds(Turn, st.integers(0, 3)),
    st.builds(Shift, st.integers(-9, 9), st.integers(-9, 9)),
    st.builds(Crop, st.integers(-4, 8), st.integers(-4, 8), st.integers(12, 40), st.integers(12, 40)),
    st.builds(Resize, st.integers(12, 60), st.integers(12, 60)),
    st.builds(Affine, st.floats(-180, 180), st.floats(0.5, 2), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    st.builds(Warp, SEEDS, st.floats(0, 0.15)),
    st.builds(
        Fields,
        SEEDS,
        st.tuples(
            st.builds(FieldSpec, st.just("rotate"), st.floats(0, 40), st.just(0.5), st.just(6)),
            st.builds(FieldSpec, st.just("shift"), st.floats(0, 0.3), st.just(0.3), st.just(6)),
        ),
    ),
    st.builds(Shear, st.floats(-40, 40)),
    st.builds(Perspective, SEEDS, st.floats(0, 0.4)),
    st.builds(Jigsaw, SEEDS, st.integers(2, 5), st.integers(0, 5)),
)


def slack_of(ops: list[Op]) -> float:
    """Px by which nearest pixels may lie off: one for each operation, as large as the following ones make it."""
    slack, size = 0.0, SIZE
    for op in ops:
        after = op.size(size)
        zoom = {"resize": max(after[0] / size[0], after[1] / size[1]), "affine": getattr(op, "scale", 1)}
        slack, size = slack * max(1, zoom.get(op.name, 2)) + 1, after
    return slack


@settings(max_examples=150, deadline=None)
@given(
    ops=st.lists(OPS, min_size=1, max_size=3), left=st.integers(0, 30), top=st.integers(0, 16), side=st.integers(2, 9)
)
def test_a_mask_painted_from_a_box_stays_inside_the_moved_box(ops, left, top, side):
    geometry = Geometry(tuple(ops))
    box = [float(left), float(top), float(min(40, left + side)), float(min(24, top + side))]
    painted = np.zeros(SIZE, np.uint8)
    painted[top : top + side, left : left + side] = 1
    there = geometry.apply_label(painted, void=0)
    found = move_annotations({"boxes": [{"box": box}]}, geometry.point_map(SIZE), 0)["boxes"]
    rows, columns = np.nonzero(there)
    if len(rows) == 0:
        return
    (one,) = found
    x0, y0, x1, y1 = one["box"]
    slack = slack_of(ops)
    assert x0 - slack <= columns.min() and columns.max() + 1 <= x1 + slack
    assert y0 - slack <= rows.min() and rows.max() + 1 <= y1 + slack


def test_the_wrong_variant_fails():
    """Boxes that stay where they were, as they do where a generator forgets them."""
    there = Flip().move_label(segmentation.decoded(SQUARE, SIZE), 0)
    columns = np.nonzero(there)[1]
    assert not (BOX[0] <= columns.min() and columns.max() + 1 <= BOX[2])
