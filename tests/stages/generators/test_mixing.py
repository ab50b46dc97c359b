"""Known answers of the mixing rules, and that the known wrong forms give others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms import mixing
from augforge.data.ids import rng

LAMS = st.floats(0, 1)
A, B = (np.random.default_rng(i).normal(size=64).astype(np.float32) for i in (1, 2))
PA, PB = (np.random.default_rng(i).uniform(0, 255, (32, 32, 3)).astype(np.float32) for i in (1, 2))


def test_lam_one_is_the_first_bit_by_bit():
    assert (mixing.mix_vectors(A, B, 1.0) == A).all()
    assert (mixing.cut_vectors(A, B, 1.0, 3) == A).all()
    assert (mixing.mix_pixels(PA, PB, 1.0) == PA).all()
    assert (mixing.cut_pixels(PA, PB, mixing.draw_box(1.0, rng(0))) == PA).all()


def test_lam_zero_is_the_second():
    assert (mixing.mix_vectors(A, B, 0.0) == B).all()
    assert (mixing.cut_vectors(A, B, 0.0, 3) == B).all()
    assert (mixing.mix_pixels(PA, PB, 0.0) == PB).all()
    assert (mixing.cut_pixels(PA, PB, mixing.draw_box(0.0, rng(0))) == PB).all()


@given(LAMS, st.integers(0, 1000))
def test_cutmix_takes_exactly_the_share_of_coordinates(lam, seed):
    taken = (mixing.cut_vectors(A, B, lam, seed) == B).sum()
    assert taken == round((1 - lam) * 64)


def test_cutmix_depends_on_the_second_image_where_the_released_axis_does_not():
    """The released code slices the guidance axis of a (2, D) tensor, whose first row is zeros."""

    def released(first, second, lam):
        pair_a, pair_b = np.stack([np.zeros_like(first), first]), np.stack([np.zeros_like(second), second])
        cut = int((1 - lam) * 2)
        pair_a[:cut] = pair_b[:cut]
        return pair_a[1]

    other = np.random.default_rng(9).normal(size=64).astype(np.float32)
    lams = np.random.default_rng(0).uniform(0.05, 1, 200)
    assert all((released(A, B, lam) == released(A, other, lam)).all() for lam in lams)
    assert not any(
        (mixing.cut_vectors(A, B, lam, 5) == mixing.cut_vectors(A, other, lam, 5)).all() for lam in lams[lams < 0.95]
    )


@given(LAMS, st.integers(0, 1000))
def test_a_box_lies_inside_and_has_the_area(lam, seed):
    left, top, right, bottom = mixing.draw_box(lam, rng(seed))
    assert -1e-9 <= left <= right <= 1 + 1e-9 and -1e-9 <= top <= bottom <= 1 + 1e-9
    assert (right - left) * (bottom - top) == pytest.approx(1 - lam, abs=1e-9)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 500))
def test_a_crop_lies_inside_the_picture(width, height, seed):
    left, top, right, bottom = mixing.draw_crop(width, height, 0.08, rng(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_crops_have_the_area_and_ratio_asked_for():
    crops = np.array([mixing.draw_crop(400, 400, 0.25, rng(i)) for i in range(500)])
    w, h = crops[:, 2] - crops[:, 0], crops[:, 3] - crops[:, 1]
    assert (w * h / 160_000).min() > 0.24 and (w * h / 160_000).max() <= 1
    assert (w / h).min() > 0.74 and (w / h).max() < 1.35


def test_dropout_zero_is_identity_and_one_drops_all():
    assert (mixing.drop_coordinates(A, 0.0, 1, rescale=False) == A).all()
    assert (mixing.drop_coordinates(A, 1.0, 1, rescale=True) == 0).all()


def test_dropout_zeroes_a_share_within_binomial_error_and_does_not_rescale():
    ones = np.ones(40_000, dtype=np.float32)
    dropped = mixing.drop_coordinates(ones, 0.4, 7, rescale=False)
    assert abs((dropped == 0).mean() - 0.4) < 4 * (0.24 / 40_000) ** 0.5
    assert set(np.unique(dropped)) == {0.0, 1.0}  # the inverted form would leave 1 / 0.6
    assert set(np.unique(mixing.drop_coordinates(ones, 0.4, 7, rescale=True))) == {
        np.float32(0),
        np.float32(1 / np.float32(0.6)),
    }


def test_a_mask_hangs_on_its_seed_alone():
    assert (mixing.cut_vectors(A, B, 0.5, 1) == mixing.cut_vectors(A, B, 0.5, 1)).all()
    assert (mixing.cut_vectors(A, B, 0.5, 1) != mixing.cut_vectors(A, B, 0.5, 2)).any()
