"""Depth in metres."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.weather import FAR, from_disparity, ground, metres


def test_the_assumed_ground_is_as_far_as_a_camera_of_its_height_sees_it():
    depth = ground((200, 3))
    assert (depth[:100] == FAR).all() and (depth == depth[:, :1]).all()
    below = depth[100:, 0]
    assert (np.diff(below) <= 0).all() and below[0] > 100
    angle = np.arctan(1.5 / below[-1])
    assert abs(np.rad2deg(angle) - 25) < 0.2, "the lowest row is half of the view below the horizon"
    assert abs(below[49] / below[99] - 2) < 0.02


def test_a_picture_says_metres_by_its_scale_or_by_its_largest_number():
    kitti = np.array([[256, 2560]], np.uint16)
    assert np.allclose(metres(kitti, 1 / 256), [[1, 10]])
    assert np.allclose(metres(kitti, None), [[1, 10]], rtol=1e-4)
    assert np.allclose(metres(np.array([[51, 255]], np.uint8), None, far=100), [[20, 100]])
    assert np.allclose(metres(np.array([[[2.5, 0, 0]]]), None), [[2.5]])


def test_what_is_unknown_is_as_far_as_its_nearest_neighbour():
    picture = np.array([[0, 0, 7], [5, 0, np.nan], [0, 5, 0]])
    found = metres(picture, 1.0)
    assert found[0, 2] == found[1, 2] == 7 and found[0, 0] == found[1, 0] == found[2, 1] == 5
    with pytest.raises(ValueError, match="no pixel of a known depth"):
        metres(np.zeros((2, 2), np.uint8), None)


def test_a_relative_model_reaches_from_near_to_far():
    depth = from_disparity(np.array([[0.0, 5.0, 10.0]]), near=2.0, far=100.0)
    assert np.allclose(depth, [[100, 1 / (0.5 * (0.5 + 0.01)), 2]])
    assert (from_disparity(np.ones((2, 2)), far=50.0) == 50).all()
