"""A planted checkerboard is seen, and blur, noise, brightness and contrast are not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from augforge.algorithms.metrics import grid_ratio
from augforge.io.sample_sets.streets import draw_scene

SIDE = 64
ALIKE, GRID = 1.6, 3.0


def scenes(first: int, count: int = 24) -> list[np.ndarray]:
    """Squares in the middle of drawn streets by day."""
    found = [draw_scene("day", number).image for number in range(first, first + count)]
    return [image[:SIDE, (image.shape[1] - SIDE) // 2 :][:, :SIDE] for image in found]


def changed(pictures: list[np.ndarray], change) -> list[np.ndarray]:
    return [np.clip(change(picture.astype(float)), 0, 255).round().astype(np.uint8) for picture in pictures]


def planted(period: int, height: float):
    """`height` grey levels up where both coordinates are multiples of `period`: as from the stride of a network."""
    rows, columns = np.indices((SIDE, SIDE)) % period
    board = height * ((rows == 0) & (columns == 0))[..., None]
    return lambda picture: picture + board


REAL = scenes(0)


def test_pictures_beside_themselves_have_exactly_one():
    assert grid_ratio(REAL, REAL) == 1.0


def test_other_scenes_have_no_grid():
    assert grid_ratio(scenes(40), REAL) < ALIKE


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("height", [24, 48])
def test_a_planted_grid_is_seen(period, height):
    assert grid_ratio(changed(scenes(40), planted(period, height)), REAL) > GRID


def test_a_stronger_grid_is_more():
    found = [grid_ratio(changed(scenes(40), planted(2, height)), REAL) for height in (8, 16, 32, 64)]
    assert found == sorted(found)


def test_a_grid_across_only_and_a_board_of_diagonal_neighbours_are_seen():
    rows, columns = np.indices((SIDE, SIDE))
    lines, board = (columns % 2)[..., None], ((rows + columns) % 2)[..., None]
    for pattern in (lines, board):
        assert grid_ratio(changed(scenes(40), lambda picture, pattern=pattern: picture + 24 * pattern), REAL) > GRID


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: ndimage.gaussian_filter(picture, (0.7, 0.7, 0)),
        lambda picture: picture + np.random.default_rng(0).normal(0, 12, picture.shape),
        lambda picture: picture * 0.2,
        lambda picture: 255 - picture,
    ],
    ids=["blur", "noise", "dark", "negative"],
)
def test_what_is_no_grid_is_taken_for_none(change):
    assert grid_ratio(changed(scenes(40), change), REAL) < ALIKE


def test_the_energy_of_fine_detail_alone_would_take_noise_for_a_grid():
    """The wrong variant: power at the stride's frequency beside all of it, not beside its neighbours."""

    def fine(pictures: list[np.ndarray]) -> float:
        lines = np.concatenate([(p - p.mean((0, 1))).transpose(0, 2, 1).reshape(-1, SIDE) for p in pictures])
        power = (np.abs(np.fft.rfft(lines)) ** 2).mean(0)
        return float(power[-2:].sum() / power.sum())

    noisy = changed(scenes(40), lambda picture: picture + np.random.default_rng(0).normal(0, 12, picture.shape))
    assert fine(noisy) / fine(REAL) > ALIKE > grid_ratio(noisy, REAL)


def test_nothing_to_compare_is_no_number():
    flat, small = [np.full((SIDE, SIDE, 3), 7, np.uint8)], [picture[:16, :16] for picture in REAL]
    assert np.isnan(grid_ratio(small, REAL))
    assert np.isnan(grid_ratio(flat, REAL)) and np.isnan(grid_ratio([], REAL)) and np.isnan(grid_ratio(REAL, flat))
