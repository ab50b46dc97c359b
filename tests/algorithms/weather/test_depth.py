"""Depth in metres."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.weather import from_disparity, gradient, metres


def test_the_assumed_depth_grows_by_one_factor_from_row_to_row():
    depth = gradient((200, 3))
    assert (depth == depth[:, :1]).all()
    factors = depth[:-1, 0] / depth[1:, 0]
    assert np.allclose(factors, 40 ** (1 / 200))
    assert abs(depth[-1, 0] - 3) < 0.1 and abs(depth[0, 0] - 120) < 2
    assert np.isclose(gradient((1, 1))[0, 0], np.sqrt(3 * 120))


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
