"""The appearance of pictures, its distance, and days made dark by a table: what each sees and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from augforge.algorithms.metrics import AppearanceReference, LevelMatch, appearance, kernel_distance
from augforge.io.sample_sets.streets import draw_scene

SIDE = 64


def scenes(time: str, first: int, count: int = 20) -> list[np.ndarray]:
    found = [draw_scene(time, number).image for number in range(first, first + count)]
    return [image[:SIDE, (image.shape[1] - SIDE) // 2 :][:, :SIDE] for image in found]


def statistics(pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack([appearance(picture) for picture in pictures])


DAYS, NIGHTS = scenes("day", 0), scenes("night", 0, 40)
DARK = [LevelMatch.between(DAYS, NIGHTS).applied(picture) for picture in DAYS]
REFERENCE = AppearanceReference(statistics(NIGHTS))


def distance(pictures: list[np.ndarray]) -> float:
    return REFERENCE.distance(statistics(pictures))


def drawn_edges(picture: np.ndarray) -> np.ndarray:
    """Dark, with the edges drawn in white and a halo around them."""
    grey = picture.astype(float).mean(axis=-1)
    edges = ndimage.gaussian_gradient_magnitude(grey, 1.0)
    drawing = 20 + 6 * edges - 3 * ndimage.gaussian_filter(edges, 3)
    return np.repeat(drawing[..., None], 3, axis=-1).clip(0, 255).astype(np.uint8)


def test_other_nights_are_near_and_days_far():
    others, days = distance(scenes("night", 60)), distance(DAYS)
    assert abs(others) < 0.05 * days


def test_darkened_days_are_between_days_and_nights():
    assert distance(scenes("night", 60)) < distance(DARK) < distance(DAYS)


def test_a_drawing_of_edges_as_bright_as_night_is_farther_than_the_darkened_day():
    drawings = [drawn_edges(picture) for picture in DAYS]
    brightness = np.mean(drawings) / np.mean(NIGHTS)
    scaled = [np.clip(picture / brightness, 0, 255).astype(np.uint8) for picture in drawings]
    assert np.mean(scaled) == pytest.approx(np.mean(NIGHTS), rel=0.1), "brightness alone calls it a night"
    assert distance(scaled) > 1.5 * distance(DARK)


def test_a_grid_over_real_nights_is_far():
    rows, columns = np.indices((SIDE, SIDE)) % 2
    board = (20 * ((rows + columns) % 2))[..., None]
    planted = [np.clip(picture + board, 0, 255).astype(np.uint8) for picture in scenes("night", 60)]
    assert distance(planted) > distance(scenes("night", 60)) + 1


def test_one_extreme_picture_does_not_decide():
    pictures = scenes("night", 60, 30)
    spoilt = [np.full_like(pictures[0], 255), *pictures[1:]]
    assert distance(spoilt) < 0.2 * distance(DAYS)


def test_the_distance_is_the_kernel_distance_of_what_is_standardised():
    real = np.array([[1.0, 10.0], [3.0, 30.0], [2.0, 20.0]])
    others = np.array([[2.0, 20.0], [2.0, 20.0]])
    deviation = real.std(axis=0) + 1e-3
    standard = [3 * np.tanh((rows - [2.0, 20.0]) / deviation / 3) for rows in (real, others)]
    assert AppearanceReference(real).distance(others) == pytest.approx(kernel_distance(*standard))


def test_a_constant_picture_has_finite_statistics():
    assert np.isfinite(appearance(np.zeros((16, 16, 3), np.uint8))).all()


def test_levels_become_those_of_the_targets():
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    match = LevelMatch.between([ramp], [ramp // 4])
    assert np.abs(match.applied(ramp).astype(int) - ramp // 4).max() <= 1
    assert np.array_equal(LevelMatch.between([ramp], [ramp]).table, np.tile(np.arange(256, dtype=np.uint8), (3, 1)))


def test_channels_are_matched_each_for_itself_and_order_is_kept():
    match = LevelMatch.between(DAYS, NIGHTS)
    assert (np.diff(match.table.astype(int), axis=1) >= 0).all()
    for channel in range(3):
        made = np.mean([picture[..., channel] for picture in DARK])
        assert made == pytest.approx(np.mean([picture[..., channel] for picture in NIGHTS]), rel=0.1)
