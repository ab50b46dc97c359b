"""Drawn streets: the same every time, masks that fit to the pixel, and nights that are no days."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from augforge.io.sample_sets.streets import CLASSES, HEIGHT, RANGES, TIMES, WIDTH, Scene, draw_scene, mask_colours
from augforge.io.sample_sets.streets.canvas import FINE, Canvas, Surface
from augforge.io.sample_sets.streets.houses import BAY, FLOOR, _bays

MANY = 30


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {time: [draw_scene(time, number) for number in range(MANY)] for time in TIMES}


def fingerprint(scene: Scene) -> str:
    return hashlib.sha256(scene.image.tobytes() + scene.mask.tobytes()).hexdigest()


# ---- scenes --------------------------------------------------------------------------------------------------------


def test_a_scene_is_the_same_every_time_and_in_every_process(scenes):
    here = [fingerprint(scenes[time][3]) for time in TIMES]
    assert here == [fingerprint(draw_scene(time, 3)) for time in TIMES]
    code = (
        "import hashlib\nfrom augforge.io.sample_sets.streets import draw_scene\n"
        "for time in ('night', 'day'):\n"
        "    s = draw_scene(time, 3)\n"
        "    print(hashlib.sha256(s.image.tobytes() + s.mask.tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there[::-1] == here


def test_every_scene_is_another(scenes):
    everything = [scene for time in TIMES for scene in scenes[time]]
    assert len({scene.image.tobytes() for scene in everything}) == len(everything)


def test_no_night_has_the_layout_of_a_day(scenes):
    """Two scenes of one layout would agree in all pixels."""
    agreement = [(day.mask == night.mask).mean() for day in scenes["day"] for night in scenes["night"]]
    assert max(agreement) < 0.9
    assert all((day.mask != night.mask).any() for day in scenes["day"] for night in scenes["night"])


def test_sizes_and_types(scenes):
    for scene in [*scenes["day"], *scenes["night"]]:
        assert (scene.image.shape, scene.image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        assert (scene.mask.shape, scene.mask.dtype) == ((HEIGHT, WIDTH), np.uint8)
    assert HEIGHT % 32 == WIDTH % 32 == 0


def test_masks_hold_the_classes_and_all_of_them_occur(scenes):
    values = [np.unique(scene.mask) for scene in scenes["day"]]
    assert set(np.concatenate(values)) == set(range(len(CLASSES)))
    needed = {CLASSES.index(name) for name in ("sky", "building", "road", "pavement", "marking")}
    assert all(needed <= set(found) for found in values)


def test_days_are_bright_and_nights_dark(scenes):
    mean = {time: [scene.image.mean() / 255 for scene in scenes[time]] for time in TIMES}
    assert 0.4 < np.mean(mean["day"]) < 0.6 and 0.1 < np.mean(mean["night"]) < 0.2
    assert min(mean["day"]) > 0.33 and max(mean["night"]) < 0.3
    assert min(mean["day"]) > max(mean["night"]) + 0.05
    assert all((scene.image > 200).any() for scene in scenes["night"])  # something shines


def contrast(scene: Scene, down: int, right: int) -> float:
    """How much more a picture changes from pixel to pixel across the borders of its (moved) mask than elsewhere."""
    mask = np.roll(scene.mask, (down, right), (0, 1))
    grey = scene.image.astype(np.float64).mean(2)
    across, steps = mask[:, 1:] != mask[:, :-1], np.abs(np.diff(grey, axis=1))
    return steps[across].mean() / steps[~across].mean()


def test_the_borders_of_mask_and_picture_coincide_to_the_pixel(scenes):
    """A mask that is moved by two pixels, or mirrored, fits worse in every scene."""
    for scene in scenes["day"]:
        fits = contrast(scene, 0, 0)
        moved = [contrast(scene, 0, right) for right in (-2, 2, 5)]
        mirrored = contrast(Scene(scene.image, scene.mask[:, ::-1]), 0, 0)
        assert fits > 1.5 and fits > 1.1 * max(*moved, mirrored)


def test_the_sky_is_above_and_the_road_below(scenes):
    rows = np.arange(HEIGHT)[:, None] + np.zeros((1, WIDTH))
    for scene in scenes["day"]:
        assert rows[scene.mask == CLASSES.index("sky")].mean() < HEIGHT / 2
        assert rows[scene.mask == CLASSES.index("road")].min() > 0.3 * HEIGHT
        assert (scene.mask[-1] == CLASSES.index("road")).mean() > 0.3


def test_colours_tell_the_classes_apart():
    colours = mask_colours()
    assert colours.shape == (len(CLASSES), 3) and len(np.unique(colours, axis=0)) == len(CLASSES)
    assert set(RANGES) == {"train", "test"}


# ---- canvas --------------------------------------------------------------------------------------------------------

BACK, FRONT = Surface(1, (0, 0, 0)), Surface(2, (255, 102, 0))


def test_what_is_drawn_on_whole_pixels_is_exact():
    canvas = Canvas(BACK)
    canvas.polygon(FRONT, [(8, 12), (40, 12), (40, 28), (8, 28)])
    expected = np.ones((HEIGHT, WIDTH), np.uint8)
    expected[3:7, 2:10] = 2
    assert (canvas.mask() == expected).all()
    assert np.array_equal(canvas.share([2]), expected == 2)
    colour = canvas.mean(surface.colour for surface in canvas.surfaces)
    assert np.allclose(colour, (expected == 2)[..., None] * np.array([1, 0.4, 0]))


@pytest.mark.parametrize("turn", [1, -1])
def test_a_polygon_covers_its_area_whichever_way_round(turn):
    canvas = Canvas(BACK)
    canvas.polygon(FRONT, [(100, 50), (300, 90), (180, 290)][::turn])
    area = abs((300 - 100) * (290 - 50) - (90 - 50) * (180 - 100)) / 2
    assert abs((canvas.points == 1).sum() / area - 1) < 0.01
    assert (canvas.points[91, 290], canvas.points[91, 310], canvas.points[51, 99]) == (1, 0, 0)


def test_an_ellipse_covers_its_area():
    canvas = Canvas(BACK)
    canvas.ellipse(FRONT, (200, 150), (90, 40))
    assert abs((canvas.points == 1).sum() / (np.pi * 90 * 40) - 1) < 0.01


def test_what_reaches_beyond_the_canvas_is_cut_off_and_what_lies_beside_it_is_nothing():
    canvas = Canvas(BACK)
    for corners in ([(-90, -50), (-10, -50), (-10, 900)], [(600, 0), (700, 0), (700, 10)]):
        canvas.polygon(FRONT, corners)
    canvas.rectangle(FRONT, -20, -20, -10, -10)
    assert not canvas.points.any()
    canvas.polygon(FRONT, [(-9999, -9999), (9999, -9999), (9999, 9999), (-9999, 9999)])
    assert canvas.points.all()


def test_a_pixel_has_the_class_of_most_of_its_points():
    canvas = Canvas(BACK)
    canvas.rectangle(FRONT, 0, 0, 3, FINE)  # 12 of 16 points
    canvas.rectangle(FRONT, FINE, 0, FINE + 1, FINE)  # 4 of 16
    assert canvas.mask()[0, :3].tolist() == [2, 1, 1]
    assert canvas.share([2])[0, :3].tolist() == [0.75, 0.25, 0]


def test_over_draws_only_on_the_classes_it_names():
    canvas, third = Canvas(BACK), Surface(3, (0, 0, 0))
    canvas.rectangle(FRONT, 0, 0, 40, 40)
    canvas.polygon(third, [(0, 0), (80, 0), (80, 40), (0, 40)], over=[1])
    assert (canvas.mask()[:10, :10] == 2).all() and (canvas.mask()[:10, 10:20] == 3).all()


def test_a_wall_has_a_window_in_every_bay():
    windows = np.zeros((3, 3, 2), np.int16)
    windows[1] = np.arange(6).reshape(3, 2) + 10
    windows[2] = 1
    along, high = np.array([[10, 130, BAY + 130]]), np.array([[150], [FLOOR + 150]])
    found = _bays(along, np.broadcast_to(high, (2, 3)), windows)
    assert found.tolist() == [[0, 10, 11], [0, 12, 13]]
    assert _bays(np.array([[68]]), np.array([[150]]), windows).tolist() == [[1]]
