"""Warps of a probe's view: labels go with the image, what is empty is known, and enough of a label stays inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.algorithms.geometry import Geometry, Resize, Sector, Shift
from augforge.algorithms.outpainting import (
    Canvas,
    Ranges,
    WarpedPictures,
    draw_sector,
    fill,
    first_accepted,
    label_points,
    sector_of,
    share_inside,
    warp,
)
from augforge.data.annotations import move_annotations
from augforge.data.ids import rng

SIZE = (40, 50)
FULL = np.ones(SIZE, bool)
sectors = st.builds(
    Sector,
    depth=st.floats(0, 1),
    width=st.floats(0.5, 1.5),
    degrees=st.floats(-40, 40),
    down=st.integers(-9, 9),
    right=st.integers(-9, 9),
)


def picture(seed: int = 0) -> np.ndarray:
    return rng(seed, "picture").integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def blocks() -> np.ndarray:
    return np.kron(rng(1, "classes").choice(np.array([0, 3, 40], np.uint8), (10, 10)), np.ones((4, 5), np.uint8))


# ---- the warp ------------------------------------------------------------------------------------------------------


def test_each_part_of_a_warp_has_its_closed_form():
    """Points (row, column) from the middle of the upper edge, (-0.5, 24.5)."""
    point = (np.array([19.5]), np.array([34.5]))  # 20 below, 10 to the right of the middle
    for sector, below, right in (
        (Sector(depth=1.0), 10, 10),
        (Sector(width=0.5), 20, 5),
        (Sector(degrees=90), -10, 20),  # counter-clockwise: what hangs below comes to the right
        (Sector(down=3, right=-4), 23, 6),
        (Sector(depth=1.0, width=2.0, degrees=90, down=1, right=2), -20 + 1, 10 + 2),
    ):
        rows, columns = sector.target(point, SIZE)
        assert (rows[0] + 0.5, columns[0] - 24.5) == pytest.approx((below, right)), sector


def test_a_deeper_view_is_the_image_with_a_border_below_squeezed():
    image = picture()
    padded = np.concatenate([image, np.zeros((20, 50, 3), np.uint8)])
    squeezed = Resize(*SIZE).move(padded, "bilinear", None)
    canvas = warp(image, Sector(depth=0.5), FULL, 0)
    known = ~canvas.empty
    assert known.sum() == pytest.approx(40 / 60 * 2000, abs=50)
    smooth = np.abs(canvas.pixels[known].astype(float) - squeezed[known]).mean()
    assert smooth < np.abs(image.astype(float) - squeezed).mean() / 2, "up to how it is interpolated"


@given(sector=sectors, row=st.floats(0, 39), column=st.floats(0, 49))
def test_source_and_target_are_inverse(sector, row, column):
    point = (np.array([row]), np.array([column]))
    there = sector.source(sector.target(point, SIZE), SIZE)
    assert np.allclose(there, point, atol=1e-6)


@given(down=st.integers(-45, 45), right=st.integers(-55, 55))
@settings(deadline=None)
def test_image_mask_and_boxes_agree_to_the_bit_under_a_whole_translation(down, right):
    image, mask, sector = picture(), blocks(), Sector(down=down, right=right)
    canvas, moved = warp(image, sector, FULL, 0), WarpedPictures(sector, FULL, 255).apply_label(mask)
    plain = Geometry((Shift(down, right),))
    assert (canvas.pixels[~canvas.empty] == plain.apply(image, fill=0)[~canvas.empty]).all()
    assert (moved == plain.apply_label(mask, 255)).all()
    assert (canvas.empty == ~plain.valid(SIZE)).all()
    box = {"box": [10.0, 12.0, 20.0, 30.0]}
    for_both = [
        move_annotations({"boxes": [box]}, Geometry((op,)).point_map(SIZE), 0.0) for op in (sector, Shift(down, right))
    ]
    assert for_both[0] == for_both[1]


@given(sector=sectors)
@settings(deadline=None, max_examples=40)
def test_a_mask_painted_from_a_box_stays_inside_the_moved_box(sector):
    mask = np.zeros(SIZE, np.uint8)
    mask[12:30, 10:20] = 1
    moved = WarpedPictures(sector, FULL, 0).apply_label(mask)
    assert set(np.unique(moved)) <= {0, 1}, "no class appears from nowhere"
    said = move_annotations(
        {"boxes": [{"box": [10.0, 12.0, 20.0, 30.0]}]}, Geometry((sector,)).point_map(SIZE), 0.0
    ).get("boxes", [])
    rows, columns = np.nonzero(moved)
    if said:
        left, top, right, bottom = said[0]["box"]
        assert (rows + 0.5 >= top - 0.51).all() and (rows + 0.5 <= bottom + 0.51).all()
        assert (columns + 0.5 >= left - 0.51).all() and (columns + 0.5 <= right + 0.51).all()
    else:
        assert len(rows) <= 2


def test_a_warp_that_moves_nothing_is_the_identity():
    image, mask = picture(), blocks()
    canvas = warp(image, Sector(), FULL, 10)
    assert (
        canvas.pixels is image
        and not canvas.empty.any()
        and WarpedPictures(Sector(), FULL, 255).apply_label(mask) is mask
    )
    nothing = Ranges(0, 0, 0, 0)
    assert all(draw_sector(nothing, SIZE, rng(seed, "x")).still for seed in range(20))
    assert all(draw_sector(Ranges(probability=0), SIZE, rng(seed, "x")).still for seed in range(20))


def test_what_is_empty_grows_by_the_margin_and_never_shows_the_image():
    image, sector = picture(), Sector(right=7)
    thin, thick = warp(image, sector, FULL, 0), warp(image, sector, FULL, 3)
    assert (thin.empty == (np.arange(50) < 7)[None]).all()
    assert (thick.empty == (np.arange(50) < 10)[None]).all()
    other = image.copy()
    other[:, 43:] = 0  # what leaves the canvas
    assert (warp(other, sector, FULL, 0).pixels[~thin.empty] == thin.pixels[~thin.empty]).all()


def test_outside_of_a_sector_all_stays_and_its_outline_stays():
    image = np.zeros((*SIZE, 3), np.uint8)
    wedge = np.abs(np.arange(50)[None] - 24.5) <= np.arange(40)[:, None] * 0.5
    image[wedge] = rng(3, "wedge").integers(60, 256, (int(wedge.sum()), 3))
    image[20, 24] = 0  # a dark px within
    assert (sector_of(image) == wedge).all()
    sector, mask = Sector(degrees=15), wedge.astype(np.uint8) * np.uint8(7)
    canvas, moved = warp(image, sector, wedge, 0), WarpedPictures(sector, wedge, 255).apply_label(mask)
    assert (canvas.pixels[~wedge] == 0).all() and (moved[~wedge] == 0).all()
    assert canvas.empty.sum() > 0 and (moved[canvas.empty] == 255).all() and (moved[wedge & ~canvas.empty] == 7).all()
    assert not (canvas.empty & ~wedge).any()


def test_a_label_map_says_void_and_a_picture_of_labels_what_its_edge_shows():
    sector, mask = Sector(right=7), blocks() + np.uint8(1)
    warped = WarpedPictures(sector, FULL, 9)
    for void, said in ((255, 9), (0, 0)):
        moved = warped.apply_label(mask, void)
        assert (moved[:, :7] == said).all() and (moved[:, 7:] == mask[:, :-7]).all()
    coloured = np.stack([mask, mask + np.uint8(50), mask], axis=2)
    moved = warped.apply_label(coloured, None)
    assert (moved[:, 7:] == coloured[:, :-7]).all() and (moved[:, :7] == coloured[:, :1]).all()


# ---- acceptance ----------------------------------------------------------------------------------------------------


def test_exactly_half_inside_is_accepted_and_a_pixel_less_is_not():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, 40:50] = 2
    points = label_points(mask, {}, FULL)
    assert share_inside(Sector(right=5), points, FULL) == 0.5
    assert share_inside(Sector(right=6), points, FULL) == 0.4
    tries = [Sector(right=6), Sector(right=5), Sector(right=1)]
    found = first_accepted(iter(tries), points, FULL, 0.5)
    assert (found.sector, found.inside, found.tries) == (Sector(right=5), 0.5, 2)
    none = first_accepted(tries, points, FULL, 0.95)
    assert (none.sector, none.inside, none.tries) == (Sector(right=1), 0.9, 3)
    with pytest.raises(ValueError):
        first_accepted([], points, FULL, 0.5)


def test_what_is_painted_anew_beside_the_empty_part_is_not_inside():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, 0:10] = 1
    points, moved = label_points(mask, {}, FULL), Sector(right=5)
    for margin, inside in ((0, 1.0), (2, 0.8), (10, 0.0)):  # columns 5 to 14 are the label, those below 5 + margin new
        found = first_accepted([moved], points, FULL, 0.5, margin)
        kept = ~warp(picture(), moved, FULL, margin).empty & moved.move_label(mask, 0).astype(bool)
        assert found.inside == inside == kept.sum() / 100
    tries = [moved, Sector(right=-1)]
    assert first_accepted(tries, points, FULL, 0.95, 10).inside == 0.9, "the best of those that will not do"
    assert first_accepted([Sector()], points, FULL, 1.0, 10).inside == 1.0, "nothing is empty, nothing painted"


def test_a_label_outside_of_the_region_is_not_inside():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, 10:20] = 1
    region = np.arange(50)[None] < 25
    region = np.repeat(region, 40, axis=0)
    points = label_points(mask, {}, region)
    assert share_inside(Sector(right=10), points, region) == 0.5


def test_the_label_is_the_mask_else_the_boxes_else_the_keypoints_else_all():
    mask = np.zeros(SIZE, np.uint8)
    mask[0, 0] = 1
    boxes = {"boxes": [{"box": [10.0, 12.0, 20.0, 30.0]}, {"box": [-5.0, -5.0, 1.0, 1.0]}]}
    points = {"keypoints": [{"points": [[3.5, 4.5, 2], [0, 0, 0]]}]}
    assert [len(axis) for axis in label_points(mask, boxes, FULL)] == [1, 1]
    assert len(label_points(None, {**boxes, **points}, FULL)[0]) == 180 + 1
    rows, columns = label_points(None, points, FULL)
    assert (rows.tolist(), columns.tolist()) == ([4.0], [3.0])
    assert len(label_points(None, {"caption": "x"}, FULL)[0]) == 2000
    assert len(label_points(np.zeros(SIZE, np.uint8), {}, FULL)[0]) == 2000, "an empty mask has no label to lose"


# ---- drawing and filling -------------------------------------------------------------------------------------------


def test_warps_are_drawn_within_their_ranges_and_each_as_often_as_asked():
    drawn = [draw_sector(Ranges(0.5, 20, 0.3, 0.25, 0.5), (100, 200), rng(seed, "warp")) for seed in range(2000)]
    assert all(0 <= s.depth <= 0.5 and abs(s.degrees) <= 20 and 0.7 <= s.width <= 1.3 for s in drawn)
    assert all(np.hypot(s.down, s.right) <= 25 + 1 for s in drawn)
    for chosen in (
        [s.depth > 0 for s in drawn],
        [s.degrees != 0 for s in drawn],
        [s.width != 1 for s in drawn],
        [bool(s.down or s.right) for s in drawn],
    ):
        assert abs(np.mean(chosen) - 0.5) < 4 * (0.25 / 2000) ** 0.5 + 0.02
    assert np.mean([s.depth for s in drawn if s.depth]) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("side", [16, 40, 64])
def test_what_is_kept_is_kept_to_the_bit(side):
    canvas = warp(picture(), Sector(degrees=20, depth=0.3), FULL, 2)
    painted = rng(4, "painted").random((side, side, 3)).astype(np.float32)
    made = np.rint(fill(canvas, painted) * 255).astype(np.uint8)
    assert canvas.empty.any() and (made[~canvas.empty] == canvas.pixels[~canvas.empty]).all()
    white = fill(canvas, np.ones((side, side, 3), np.float32))
    assert np.allclose(white[canvas.empty], 1)
    nothing = Canvas(canvas.pixels, np.zeros(SIZE, bool))
    assert (np.rint(fill(nothing, painted) * 255) == canvas.pixels).all()
