"""Geometry: image and label move alike, what was moved comes back, and no class appears from nowhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from augforge.algorithms.geometry import (
    VOID,
    Affine,
    Crop,
    Flip,
    Geometry,
    Jigsaw,
    Log,
    Perspective,
    Resize,
    Shear,
    Shift,
    Turn,
    Warp,
    draw_affine,
    draw_flip,
    draw_warp,
)
from augforge.algorithms.geometry.base import grid
from augforge.algorithms.geometry.ops import _velocity
from augforge.data.ids import rng

EXACT = [Flip("horizontal"), Flip("vertical"), Turn(1), Turn(2), Turn(3), Turn(5), Shift(3, -5), Shift(-40, 2)]
EXACT += [Jigsaw(3, 4, 6), Jigsaw(9, 5, 20)]
SMOOTH = [Resize(50, 31), Affine(7.5, 1.1, 0.03, -0.02), Affine(-12, 0.9), Warp(11, 0.05), Warp(3, 0.1, 3)]
SMOOTH += [Shear(across=12), Shear(down=-9), Perspective(4, 0.15)]
PARTS = [Crop(4, 6, 20, 30), Crop(-3, -2, 60, 70)]
SIZE = (36, 44)


def noise(size: tuple[int, int] = SIZE, channels: int = 3, seed: int = 1) -> np.ndarray:
    return rng(seed, "noise").integers(0, 256, (*size, channels), dtype=np.uint8)


def hills(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth picture (h, w, 2) of 0 to 255."""
    rough = rng(5, "hills").random((*size, 2)) * 255
    smooth = gaussian_filter(rough, (4, 4, 0), mode="nearest")
    return (smooth - smooth.min()) / np.ptp(smooth) * 255


def classes(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A label map of the classes 3, 40 and 200, in blocks."""
    blocks = rng(2, "classes").choice(np.array([3, 40, 200], np.uint8), (size[0] // 4 + 1, size[1] // 4 + 1))
    return np.kron(blocks, np.ones((4, 4), np.uint8))[: size[0], : size[1]]


@st.composite
def exact_chains(draw):
    ops = [
        st.builds(Flip, st.sampled_from(["horizontal", "vertical"])),
        st.builds(Turn, st.integers(0, 4)),
        st.builds(Shift, st.integers(-9, 9), st.integers(-9, 9)),
        st.builds(Crop, st.integers(-4, 4), st.integers(-4, 4), st.integers(1, 30), st.integers(1, 30)),
    ]
    return Geometry(tuple(draw(st.lists(st.one_of(ops), max_size=5))))


sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))


# ---- known answers -------------------------------------------------------------------------------------------------


def test_flips_and_turns_are_those_of_numpy():
    image = noise()
    assert (Geometry((Flip("horizontal"),)).apply(image) == image[:, ::-1]).all()
    assert (Geometry((Flip("vertical"),)).apply(image) == image[::-1]).all()
    for quarters in range(-1, 6):
        assert np.array_equal(Geometry((Turn(quarters),)).apply(image), np.rot90(image, quarters))


def test_a_shift_moves_down_and_right_and_shows_the_edge_or_what_is_asked_for():
    image = noise()
    moved = Geometry((Shift(3, 5),)).apply(image)
    assert (moved[3:, 5:] == image[:-3, :-5]).all()
    assert (moved[:3, 5:] == image[0, :-5]).all()
    black = Geometry((Shift(3, 5),)).apply(image, fill=0)
    assert (black[3:, 5:] == image[:-3, :-5]).all() and not black[:3].any() and not black[:, :5].any()


def test_a_crop_is_a_slice_and_pads_beyond_the_image():
    image, labels = noise(), classes()
    assert np.array_equal(Geometry((Crop(4, 6, 20, 30),)).apply(image), image[4:24, 6:36])
    padded = Geometry((Crop(-2, -3, 40, 50),)).apply_label(labels)
    assert (padded == np.pad(labels, ((2, 2), (3, 3)), constant_values=VOID)).all()


def test_doubling_repeats_every_label():
    labels = classes()
    doubled = Geometry((Resize(SIZE[0] * 2, SIZE[1] * 2),)).apply_label(labels)
    assert (doubled == labels.repeat(2, 0).repeat(2, 1)).all()


def test_halving_averages_an_image():
    grey = np.zeros((8, 8), np.float32)
    grey[:, ::2] = 1
    half = Geometry((Resize(4, 4),)).apply(grey)
    assert abs(half.mean() - 0.5) < 0.02 and half[:, 1:3].std() < 0.02
    assert Geometry((Resize(4, 4),)).apply_label(grey).std() == 0


def test_a_rotation_by_90_degrees_is_a_quarter_turn_counter_clockwise():
    image = noise((31, 31)).astype(np.float64)
    assert np.abs(Geometry((Affine(90),)).apply(image) - np.rot90(image)).max() < 1e-6


def test_a_scale_of_two_shows_the_middle_twice_as_large():
    image = hills((41, 41))
    large = Geometry((Affine(scale=2),)).apply(image)
    assert np.abs(large[::2, ::2] - image[10:31, 10:31]).max() < 1e-9


def test_an_affine_translation_by_whole_pixels_is_a_shift():
    image = noise((40, 40))
    affine, shift = Geometry((Affine(down=0.1, right=-0.05),)), Geometry((Shift(4, -2),))
    assert np.abs(affine.apply(image).astype(int) - shift.apply(image)).max() <= 1
    assert (affine.valid((40, 40)) == shift.valid((40, 40))).all()


def test_a_shear_moves_each_row_by_its_distance_from_the_middle():
    rows, columns = Shear(across=45).target(grid((5, 9)), (5, 9))
    assert (rows == grid((5, 9))[0]).all()
    assert np.allclose(columns - grid((5, 9))[1], np.arange(-2, 3)[:, None])
    with pytest.raises(ValueError, match="across or down"):
        Shear(10, 10)


def test_a_perspective_moves_corners_inwards_and_keeps_lines_straight():
    size = (40, 60)
    rows, columns = Perspective(4, 0.3).target(grid(size), size)
    assert rows.min() > -0.5 and rows.max() < 39.5 and columns.min() > -0.5 and columns.max() < 59.5
    ends = np.array([rows[7, [0, -1]], columns[7, [0, -1]]])
    along = np.array([rows[7] - ends[0, 0], columns[7] - ends[1, 0]])
    across = (ends[:, 1] - ends[:, 0])[::-1] * (1, -1)
    assert np.abs(across @ along).max() < 1e-6 * (across**2).sum()
    assert np.allclose(Perspective(4, 0.0).target(grid(size), size), grid(size))


def test_a_jigsaw_exchanges_whole_tiles_and_no_swap_leaves_the_image():
    image = noise((43, 40))
    moved = Geometry((Jigsaw(3, 4, 9),)).apply(image)
    assert (moved[40:] == image[40:]).all() and (moved != image).any()
    tiles = [
        [part[r : r + 10, c : c + 10].tobytes() for r in range(0, 40, 10) for c in range(0, 40, 10)]
        for part in (image, moved)
    ]
    assert sorted(tiles[0]) == sorted(tiles[1]) and tiles[0] != tiles[1]
    assert (Geometry((Jigsaw(3, 4, 0),)).apply(image) == image).all()


# ---- the contract --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", EXACT, ids=str)
def test_what_only_moves_pixels_comes_back_exactly(op):
    image, labels, geometry = noise(), classes(), Geometry((op,))
    kept = geometry.survives(SIZE)
    assert kept.any() or abs(getattr(op, "down", 0)) >= SIZE[0]
    assert (geometry.undo(geometry.apply(image), SIZE) == image)[kept].all()
    assert (geometry.undo_label(geometry.apply_label(labels), SIZE) == np.where(kept, labels, VOID)).all()


@settings(deadline=None, max_examples=150)
@given(exact_chains(), sizes)
def test_chains_of_moves_come_back_exactly_where_they_survive(geometry, size):
    image = noise(size)
    labels = image[..., 0] % 7
    kept = geometry.survives(size)
    assert (geometry.undo(geometry.apply(image), size) == image)[kept].all()
    assert (geometry.undo_label(geometry.apply_label(labels), size) == np.where(kept, labels, VOID)).all()
    assert geometry.apply(image).shape[:2] == geometry.size(size) == geometry.valid(size).shape


@settings(deadline=None, max_examples=60)
@given(exact_chains(), sizes)
def test_image_and_label_agree_bit_for_bit_where_pixels_are_only_moved(geometry, size):
    labels = noise(size)[..., 0] % 9
    inside = geometry.valid(size)
    assert (geometry.apply(labels) == geometry.apply_label(labels))[inside].all()
    assert (geometry.apply_label(labels)[~inside] == VOID).all()


def test_a_chain_undone_in_the_order_of_application_is_wrong():
    image, turn, flip = noise((20, 20)), Geometry((Turn(1),)), Geometry((Flip("horizontal"),))
    moved = flip.apply(turn.apply(image))
    assert (turn.undo(flip.undo(moved, (20, 20)), (20, 20)) == image).all()
    assert (Geometry((*turn.ops, *flip.ops)).undo(moved, (20, 20)) == image).all()
    assert (flip.undo(turn.undo(moved, (20, 20)), (20, 20)) != image).any()


@pytest.mark.parametrize("op", SMOOTH, ids=str)
@pytest.mark.parametrize("order", ["bilinear", "bicubic"])
def test_what_mixes_pixels_comes_back_within_the_interpolation_error(op, order):
    image, geometry = hills(), Geometry((op,))
    moved, kept = geometry.apply(image, order), geometry.survives(SIZE)
    error = np.abs(geometry.undo(moved, SIZE, order) - image)[kept].mean()
    assert kept.mean() > 0.6 and error < 1.5
    if moved.shape == image.shape:
        assert np.abs(moved - image)[kept].mean() > 2 * error


def test_cubic_splines_come_back_closer_than_lines():
    image, inner = hills(), (slice(6, -6), slice(6, -6))
    for op in (Affine(7.5, 1.1, 0.03, -0.02), Affine(-12, 0.9), Warp(11, 0.05), Warp(3, 0.1, 3)):
        back = [Geometry((op,)).undo(Geometry((op,)).apply(image, o), SIZE, o) for o in ("bilinear", "bicubic")]
        lines, splines = (np.abs(found - image)[inner].mean() for found in back)
        assert splines < lines


@pytest.mark.parametrize("op", EXACT + SMOOTH + PARTS, ids=str)
def test_source_and_target_are_inverses(op):
    points = grid(SIZE)
    back = op.source(op.target(points, SIZE), SIZE)
    assert max(np.abs(np.subtract(a, b)).max() for a, b in zip(back, points, strict=True)) < 0.01


@pytest.mark.parametrize("op", EXACT + SMOOTH + PARTS, ids=str)
def test_the_classes_of_a_label_map_are_its_own_and_void(op):
    labels, geometry = classes(), Geometry((op,))
    for void in (VOID, 0):
        moved = geometry.apply_label(labels, void)
        assert set(np.unique(moved)) <= {3, 40, 200, void}
        assert set(np.unique(geometry.undo_label(moved, SIZE, void))) <= {3, 40, 200, void}
        assert moved.dtype == labels.dtype


@pytest.mark.parametrize("op", SMOOTH, ids=str)
def test_an_interpolated_label_map_would_have_new_classes(op):
    assert not set(np.unique(Geometry((op,)).apply(classes()))) <= {3, 40, 200, VOID}


@pytest.mark.parametrize(
    "op", [Turn(0), Turn(4), Shift(0, 0), Crop(0, 0, *SIZE), Resize(*SIZE), Affine(), Warp(4, 0.0)], ids=str
)
@pytest.mark.parametrize("order", ["bilinear", "bicubic"])
def test_an_operation_that_does_nothing_returns_its_input(op, order):
    for image in (noise(), hills(), noise()[..., 0]):
        assert np.array_equal(Geometry((op,)).apply(image, order), image)
        assert np.array_equal(Geometry().apply(image, order), image)
    assert (Geometry((op,)).apply_label(classes()) == classes()).all()
    assert Geometry((op,)).survives(SIZE).all()


def test_label_follows_image_through_a_smooth_geometry():
    """A bright disc stays under its label: its edge may differ by interpolation alone."""
    rows, columns = grid((64, 64))
    disc = (rows - 30) ** 2 + (columns - 34) ** 2 < 15**2
    geometry = Geometry((Warp(9, 0.08), Affine(8, 1.1, 0.04, 0.02), Flip("horizontal")))
    seen = geometry.apply(disc.astype(np.float64)) > 0.5
    told = geometry.apply_label(disc.astype(np.uint8), 0) == 1
    assert (seen != told).mean() < 0.01 < (told != disc).mean()


def test_values_stay_in_range_and_in_their_type():
    image = (noise() > 127).astype(np.uint8) * 255
    geometry = Geometry((Affine(10), Resize(30, 30), Warp(1, 0.05)))
    assert geometry.apply(image, "bicubic").dtype == np.uint8
    assert geometry.apply(image.astype(np.float32)).dtype == np.float32
    ringing = Geometry((Affine(10),)).apply(image.astype(np.float64), "bicubic")
    assert ringing.min() < 0 and ringing.max() > 255  # so that the test above could fail


# ---- the log -------------------------------------------------------------------------------------------------------


def test_undoing_consumes_the_log():
    log, image = Log(SIZE), noise()
    for op in (Turn(1), Crop(2, 2, 20, 20), Flip("vertical")):
        log.add(op)
        image = Geometry((op,)).apply(image)
    assert (len(log), log.size) == (3, (20, 20))
    for left in (2, 1, 0):
        with pytest.raises(ValueError, match="were not taken back"):
            log.close()
        image = log.undo(image)
        assert len(log) == left
    log.close()
    assert image.shape[:2] == log.size == SIZE
    with pytest.raises(ValueError, match="no operation left"):
        log.undo(image)


def test_something_of_another_size_is_not_undone():
    with pytest.raises(ValueError, match="came out"):
        Geometry((Resize(20, 20),)).undo(noise(), SIZE)


def test_the_log_is_plain_json():
    geometry = Geometry((*EXACT, *SMOOTH, *PARTS))
    plain = json.loads(json.dumps(geometry.plain()))
    assert Geometry.from_plain(plain) == geometry
    assert Geometry.from_plain(plain).plain() == geometry.plain()
    assert Geometry((Shift(1, 2),)).plain() == [{"op": "shift", "down": 1, "right": 2}]


@pytest.mark.parametrize(
    "plain",
    [
        {"op": "melt"},
        {"axis": "horizontal"},
        {"op": "flip", "axis": "diagonal"},
        {"op": "shift", "up": 1},
        {"op": "resize", "height": 0, "width": 3},
        {"op": "affine", "scale": 0.0},
        {"op": "warp", "seed": 1, "amplitude": -1.0},
    ],
)
def test_what_is_no_operation_is_refused(plain):
    with pytest.raises(ValueError):
        Geometry.from_plain([plain])


# ---- the warp and the draws ----------------------------------------------------------------------------------------


def areas(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Signed area of what became of every square of four pixels: negative where it folds."""
    down = np.diff(rows, axis=0)[:, :-1], np.diff(columns, axis=0)[:, :-1]
    right = np.diff(rows, axis=1)[:-1], np.diff(columns, axis=1)[:-1]
    return down[0] * right[1] - down[1] * right[0]


@pytest.mark.parametrize("amplitude", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(4))
def test_a_warp_moves_no_point_too_far_never_folds_and_takes_nothing_from_outside(amplitude, seed):
    size, warp = (120, 90), Warp(seed, amplitude)
    start, (rows, columns) = grid(size), warp.source(grid(size), size)
    far = max(np.abs(rows - start[0]).max() / size[0], np.abs(columns - start[1]).max() / size[1])
    assert amplitude / 8 < far <= amplitude + 1e-9
    assert areas(rows, columns).min() > 0
    assert Geometry((warp,)).valid(size).all()


def test_without_a_flow_it_would_fold():
    """Every point moved once by the field, instead of flowing along it."""
    place = np.stack(grid((120, 120))) / 119
    moved = [place + _velocity(Warp(seed, 0.3)._field(), place) for seed in range(4)]
    assert all(areas(*found).min() < 0 for found in moved)


def test_a_warp_is_the_same_at_every_size():
    """The middle of a pixel at 20 x 30 is that of the middle one of nine at 60 x 90."""
    for row, column in ((4, 9), (15, 22)):
        small = Warp(3, 0.1).source((np.array([row]), np.array([column])), (20, 30))
        large = Warp(3, 0.1).source((np.array([3 * row + 1]), np.array([3 * column + 1])), (60, 90))
        assert np.allclose(np.array(small) + 0.5, (np.array(large) + 0.5) / 3)
        assert not np.allclose(np.array(small).ravel(), (row, column), atol=0.1)


def test_draws_depend_on_the_generator_alone():
    assert draw_warp(rng(1, "warp"), 0.1) == draw_warp(rng(1, "warp"), 0.1) != draw_warp(rng(2, "warp"), 0.1)
    flips = [draw_flip(rng(seed, "flip")) for seed in range(400)]
    assert 150 < flips.count(None) < 250 and set(flips) == {None, Flip("horizontal")}
    for seed in range(50):
        affine = draw_affine(rng(seed), degrees=10, zoom=1.2, shift=0.1)
        assert abs(affine.degrees) <= 10 and 1 / 1.2 <= affine.scale <= 1.2
        assert max(abs(affine.down), abs(affine.right)) <= 0.1
        assert Geometry.from_plain(json.loads(json.dumps([affine.plain()]))) == Geometry((affine,))
