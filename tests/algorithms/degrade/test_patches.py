"""Turned patches: every pixel is still there, in its patch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.algorithms.degrade import turn_patches
from augforge.data.ids import rng


def noise(size=(64, 64)):
    return rng(1, "pixels").integers(0, 256, (*size, 3), dtype=np.uint8)


def cells(pixels, side):
    return [pixels[r : r + side, c : c + side] for r in range(0, 64, side) for c in range(0, 64, side)]


def test_a_share_of_0_leaves_every_byte():
    assert (turn_patches(noise(), 0.0, rng(1)) == noise()).all()


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1), size=st.tuples(st.integers(1, 60), st.integers(1, 60)), seed=st.integers(0, 99))
def test_the_pixels_stay_the_same_multiset(share, size, seed):
    turned = turn_patches(noise(size), share, rng(seed))
    assert turned.shape == (*size, 3)
    assert (np.sort(turned.reshape(-1, 3), axis=0) == np.sort(noise(size).reshape(-1, 3), axis=0)).all()


def test_every_patch_is_turned_with_a_share_of_1_each_way_as_often():
    counts = np.zeros(4, int)
    for seed in range(20):
        turned = turn_patches(noise(), 1.0, rng(seed))
        for before, after in zip(cells(noise(), 8), cells(turned, 8), strict=True):
            (k,) = (k for k in range(4) if (np.rot90(before, k) == after).all())
            counts[k] += 1
    assert counts[0] == 0, "an angle of 0 among those drawn would turn fewer than asked for"
    assert counts[1:].sum() == 1280 and np.abs(counts[1:] / 1280 - 1 / 3).max() < 0.05


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_about_the_share_is_turned_and_a_larger_share_turns_those_and_more(share):
    def turned(part):
        made = turn_patches(noise(), part, rng(5))
        return [(a != b).any() for a, b in zip(cells(noise(), 8), cells(made, 8), strict=True)]

    assert abs(np.mean(turned(share)) - share) < 0.15
    assert all(more for less, more in zip(turned(share), turned(share + 0.3), strict=True) if less)
