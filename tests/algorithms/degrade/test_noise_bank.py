"""Mined noise: flat windows are found, textured, flickering and black ones are not, and means are taken away."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.degrade import Limits, mine, spread
from augforge.data.ids import rng


def frame(level=100, deviation=3.0, seed=1, size=(64, 64)):
    values = level + rng(seed, "frame").normal(0, deviation, (*size, 3))
    return np.rint(values).clip(0, 255).astype(np.uint8)


def found(*frames, **limits):
    return len(mine(frames, Limits(**limits)))


def test_a_constant_frame_is_flat_and_a_textured_one_is_not():
    assert found(np.full((64, 64, 3), 90, np.uint8)) == 1
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    assert found(stripes) == 0


def test_the_variance_decides_and_black_shows_nothing():
    assert found(frame(deviation=6.5)) == 1 and found(frame(deviation=7.5)) == 0
    assert found(frame(deviation=7.5), variance=60) == 1
    assert found(np.zeros((64, 64, 3), np.uint8)) == 0


def test_a_plain_colour_is_flat_although_its_channels_differ():
    blue = np.full((64, 64, 3), (20, 90, 240), np.uint8)
    assert blue.var() > 50 and found(blue) == 1


def test_over_a_sequence_neither_means_nor_variances_may_jump():
    still = [frame(seed=seed) for seed in range(4)]
    assert found(*still) == 1
    flicker = [frame(level=100 + 20 * (seed % 2), seed=seed) for seed in range(4)]  # means of a variance of 100
    assert found(*flicker) == 0 and found(*flicker[:1]) == found(*flicker[1:2]) == 1
    uneven = [
        frame(deviation=6.9 * (seed % 2), seed=seed) for seed in range(4)
    ]  # variances 0 and 47: of a variance over 500
    assert found(*uneven) == 0 and found(*uneven, spread=1e4) == 1


def test_noise_is_what_differs_from_the_mean_of_its_window_channel_and_frame():
    left = np.full((64, 64, 3), (20, 90, 240), np.uint8)
    noise = mine([np.concatenate([left, frame()], axis=1), np.concatenate([left, frame(seed=2)], axis=1)])
    assert noise.shape == (2, 2, 64, 64, 3)
    assert not noise[0].any()
    assert np.abs(noise.mean(axis=(2, 3))).max() < 1e-4 and abs(noise[1].std() - 3) < 0.1
    known = frame(seed=2).astype(np.float32)
    assert np.allclose(noise[1, 1], known - known.mean(axis=(0, 1)), atol=1e-4)


def test_windows_are_those_of_a_grid_and_small_frames_are_one():
    assert mine([frame(size=(130, 200))]).shape == (6, 1, 64, 64, 3)
    assert mine([frame(size=(20, 50))]).shape == (2, 1, 20, 20, 3)
    with pytest.raises(ValueError, match="all of one size"):
        mine([frame(), frame(size=(32, 32))])
    with pytest.raises(ValueError, match="at least one"):
        mine([])


def test_noise_is_spread_over_any_size_with_its_own_deviation():
    bank = mine([frame(size=(128, 128))])[:, 0]
    for size in ((10, 300), (64, 64), (200, 90), (1, 1)):
        assert spread(bank, size, rng(3)).shape == (*size, 3)
    wide = spread(bank, (300, 300), rng(3))
    assert abs(wide.std() - 3) < 0.05 and (wide == spread(bank, (300, 300), rng(3))).all()
    assert (wide != spread(bank, (300, 300), rng(4))).any()
    assert set(np.unique(wide.round(3))) <= set(np.unique(bank.round(3)))
