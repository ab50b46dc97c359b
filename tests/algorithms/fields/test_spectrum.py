"""Random fields: mean, variance, spectrum and correlation as asked for, at any length of correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma, kv

from augforge.algorithms.fields import FieldSpec, gaussian_field, node_field, periodic_field
from augforge.data.ids import rng

SIDE = 128


def draws(many, spec, size=(SIDE, SIDE)):
    return np.stack([periodic_field(size, 1 / min(size), spec, rng(seed, "field")) for seed in range(many)])


def slope(fields):
    """Of the mean power over the frequency, by logarithms, well above the lowest and below the highest frequency."""
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(axis=0)
    down, right = np.fft.fftfreq(fields.shape[1]), np.fft.fftfreq(fields.shape[2])
    radius = np.sqrt(down[:, None] ** 2 + right**2)
    seen = (radius > 0.08) & (radius < 0.45)
    return np.polyfit(np.log(radius[seen]), np.log(power[seen]), 1)[0]


@pytest.mark.parametrize("exponent", [2.5, 4.0, 6.0])
def test_the_power_falls_with_the_exponent(exponent):
    fields = draws(30, FieldSpec("x", 1.0, 0.5, exponent))
    assert abs(slope(fields) + exponent) < 0.1


def test_a_filter_that_takes_the_power_for_the_amplitude_falls_twice_as_fast():
    wrong = draws(30, FieldSpec("x", 1.0, 0.5, 2 * 4.0))
    assert abs(slope(wrong) + 4.0) > 3


@pytest.mark.parametrize(("correlation", "exponent"), [(0.02, 3.0), (0.1, 6.0), (1.0, 4.0), (50.0, 6.0)])
@pytest.mark.parametrize("size", [(32, 32), (24, 41), (31, 20)])
def test_mean_0_and_the_asked_deviation_over_all_draws(correlation, exponent, size):
    fields = draws(3000 if correlation < 5 else 6000, FieldSpec("x", 2.0, correlation, exponent), size)
    assert abs(fields[:, 5, 7].mean()) < 0.13
    assert abs(np.sqrt((fields**2).mean()) - 2.0) < 0.06


def test_neighbours_are_as_alike_as_in_a_matern_field():
    length, exponent = 0.04, 6.0
    fields = draws(200, FieldSpec("x", 1.0, length, exponent), (256, 256))
    smooth = exponent / 2 - 1
    for steps in (5, 10, 20, 40):
        measured = (fields * np.roll(fields, steps, axis=2)).mean()
        far = steps / 256 / length
        known = 2 ** (1 - smooth) / gamma(smooth) * far**smooth * kv(smooth, far)
        assert abs(measured - known) < 0.03


def test_with_a_very_long_correlation_the_field_is_one_number():
    fields = [gaussian_field((20, 30), FieldSpec("x", 1.0, 1000.0, 6.0), rng(seed)) for seed in range(40)]
    assert max(np.ptp(field) for field in fields) < 1e-6
    assert np.std([field.mean() for field in fields]) > 0.7


def test_opposite_edges_are_not_neighbours():
    spec = FieldSpec("x", 1.0, 0.1, 6.0)
    fields = np.stack([gaussian_field((40, 40), spec, rng(seed)) for seed in range(150)])
    wrapped = np.stack([periodic_field((40, 40), 1 / 40, spec, rng(seed)) for seed in range(150)])
    assert abs(np.corrcoef(fields[:, 0, 0], fields[:, 0, -1])[0, 1]) < 0.25
    assert np.corrcoef(wrapped[:, 0, 0], wrapped[:, 0, -1])[0, 1] > 0.9


def test_a_large_picture_has_the_field_of_a_small_one_and_parameters_have_their_own():
    spec = FieldSpec("hue", 1.0, 0.3, 6.0)
    assert (node_field((30, 45), spec, 3) == node_field((300, 450), spec, 3)).all()
    other = node_field((30, 45), spec._replace(parameter="contrast"), 3)
    assert abs(np.corrcoef(node_field((30, 45), spec, 3).ravel(), other.ravel())[0, 1]) < 0.9


def test_a_strip_costs_no_more_than_a_square():
    assert node_field((4, 60_000), FieldSpec("hue", 1.0, 0.3, 6.0), 3).size < 40_000
