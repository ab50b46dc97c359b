"""Areas of CutMix and ResizeMix: exact after rounding, as the pixels themselves say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.mix import area_share, blended, cut_box, pasted, place_box, shrunk, window

SIDES = st.integers(1, 64)
SHARES = st.floats(0, 1)
PLACES = st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2)


def changed(box, size):
    """The share of the pixels of a black image that became white."""
    black, white = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    return float((pasted(black, white, window(box, size)) == 255).all(axis=2).mean())


@given(SHARES, PLACES, st.tuples(SIDES, SIDES))
def test_a_cut_box_lies_inside_and_its_share_is_that_of_the_changed_pixels(share, centre, size):
    box = cut_box(share, centre, size)
    left, top, right, bottom = box
    assert 0 <= left <= right <= size[1] and 0 <= top <= bottom <= size[0]
    assert area_share(box, size) == pytest.approx(changed(box, size), abs=1e-12)


def test_the_share_that_was_drawn_is_not_the_share_that_is_seen():
    """The known wrong variant keeps the lambda that was drawn, though the box was rounded and cut at the border."""
    size, drawn = (224, 224), 0.36
    corner = cut_box(drawn, (0.0, 0.0), size)
    assert area_share(corner, size) == changed(corner, size) == 67 * 67 / 224**2
    assert abs(drawn - changed(corner, size)) > 0.2
    inside = cut_box(0.5, (0.5, 0.5), (10, 10))
    assert area_share(inside, (10, 10)) == changed(inside, (10, 10)) == 0.49


def test_no_share_is_no_box_and_the_whole_share_in_the_middle_is_all():
    assert area_share(cut_box(0.0, (0.3, 0.9), (24, 36)), (24, 36)) == 0
    assert cut_box(1.0, (0.5, 0.5), (24, 36)) == (0, 0, 36, 24)


@pytest.mark.parametrize(("scale", "share"), [(0.1, 0.0096), (0.5, 0.25), (0.8, 0.6386)])
def test_resizemix_at_224_px_has_the_published_shares(scale, share):
    size = (224, 224)
    box = place_box(shrunk(scale, size), (0.4, 0.7), size)
    assert area_share(box, size) == pytest.approx(share, abs=5e-5) and area_share(box, size) == changed(box, size)
    assert area_share(box, size) != scale**2 or scale == 0.5  # what was drawn, the wrong share


@given(st.floats(0.01, 1), PLACES, st.tuples(SIDES, SIDES))
def test_the_whole_second_image_of_resizemix_is_seen(scale, place, size):
    inner = shrunk(scale, size)
    left, top, right, bottom = place_box(inner, place, size)
    assert (bottom - top, right - left) == inner
    assert left >= 0 and right <= size[1] and top >= 0 and bottom <= size[0]


@given(st.floats(0, 1), st.integers(0, 255), st.integers(0, 255))
def test_mixup_is_the_rounded_mean_and_its_ends_are_the_images(lam, a, b):
    first, second = np.full((2, 2, 3), a, np.uint8), np.full((2, 2, 3), b, np.uint8)
    assert (blended(first, second, lam) == round(lam * a + (1 - lam) * b)).all()
    assert (blended(first, second, 1.0) == a).all() and (blended(first, second, 0.0) == b).all()
