"""The pictures that go with an image, beside each other."""

from __future__ import annotations

import numpy as np

from augforge.data.pictures import encode_pictures
from augforge.report.strips import GAP, shown, strip


def test_all_are_as_high_and_none_is_lost():
    made = {"depth": np.full((10, 20), 500, np.uint16), "view": np.full((30, 15, 3), 90, np.uint8)}
    picture = strip(encode_pictures(made, {}, (10, 20)), 40)
    assert picture.size == (80 + GAP + 20, 40)
    assert picture.getpixel((79 + GAP + 10, 20)) == (90, 90, 90)


def test_each_instance_has_a_colour_of_its_own_and_none_is_black():
    numbers = np.array([[0, 7, 7], [300, 300, 40_000]], dtype=np.uint16)
    colours = np.asarray(shown("instances", numbers))
    assert tuple(colours[0, 0]) == (0, 0, 0) and len({tuple(c) for c in colours.reshape(-1, 3)}) == 4
    assert (colours[0, 1] == colours[0, 2]).all()


def test_what_is_far_is_bright_and_what_is_unknown_black():
    greys = np.asarray(shown("depth", np.array([[0, 100, 200, 300]], dtype=np.uint16)))[0, :, 0].tolist()
    assert greys[0] == 0 and greys[1] < greys[2] < greys[3] == 255
    assert np.asarray(shown("depth", np.zeros((2, 2), np.uint16))).max() == 0
