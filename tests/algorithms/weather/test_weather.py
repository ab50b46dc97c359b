"""Weather: the law of fog, identity at severity 0, monotone in severity, and what hides what."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve, gaussian_filter

from augforge.algorithms.light import from_light, light_of, pixels_of, to_light
from augforge.algorithms.shifts.blur import line
from augforge.algorithms.weather import WEATHER, gradient
from augforge.algorithms.weather.air import fog, rain, smear, snow, through_air, transmittance
from augforge.algorithms.weather.lighting import glare, motion_blur, night, twilight
from augforge.data.ids import rng

AIR = (0.8, 0.82, 0.85)


def photo(size=(48, 64)):
    rough = gaussian_filter(rng(1, "photo").random((*size, 3)), (5, 5, 0), mode="nearest")
    return ((rough - rough.min()) / np.ptp(rough) * 255).astype(np.uint8)


def noise(size=(48, 64)):
    return rng(2, "noise").integers(0, 256, (*size, 3), dtype=np.uint8)


def make(name, severity, seed=3, pixels=None, depth=None):
    pixels = photo() if pixels is None else pixels
    depth = gradient(pixels.shape[:2]) if depth is None else depth
    return WEATHER[name](pixels, depth, WEATHER[name].draw(rng(seed, name), severity))


# ---- every kind ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEATHER)
def test_severity_0_leaves_every_byte(name):
    for seed in range(3):
        assert (make(name, 0.0, seed, noise()) == noise()).all()


@pytest.mark.parametrize("name", WEATHER)
def test_the_more_severe_the_further_from_the_image(name):
    errors = []
    for severity in (0.25, 0.5, 1.0):
        made = [make(name, severity, seed, noise((96, 128))) for seed in range(5)]
        errors.append(np.mean([np.abs(image.astype(int) - noise((96, 128))).mean() for image in made]))
    assert 0.3 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("name", WEATHER)
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (31, 20)])
def test_shape_dtype_and_repetition_and_parameters_are_json(name, size):
    pixels = noise(size)
    before = pixels.copy()
    parameters = WEATHER[name].draw(rng(5), 1.0)
    made = WEATHER[name](pixels, gradient(size), json.loads(json.dumps(parameters)))
    assert made.shape == pixels.shape and made.dtype == np.uint8 and (pixels == before).all()
    assert (made == WEATHER[name](pixels, gradient(size), parameters)).all()


def test_the_parameters_are_those_of_the_functions():
    for name, kind in WEATHER.items():
        asked = [*inspect.signature(kind.apply).parameters][2 if kind.uses_depth else 1 :]
        assert [*kind.ranges] == asked, name
    with pytest.raises(ValueError, match="depth of every pixel"):
        WEATHER["fog"](photo(), None, {"beta": 0.1, "airlight": AIR})


# ---- fog -----------------------------------------------------------------------------------------------------------


@given(value=st.floats(0, 1), beta=st.floats(0, 1), depth=st.floats(0, 500))
def test_fog_is_the_law(value, beta, depth):
    found = through_air(np.full((1, 1, 3), value), np.full((1, 1), depth), beta, AIR)[0, 0]
    known = [value * np.exp(-beta * depth) + a * (1 - np.exp(-beta * depth)) for a in AIR]
    assert np.allclose(found, known, atol=1e-12)


def test_no_extinction_is_the_identity_and_endless_fog_is_its_own_colour():
    depth = gradient((48, 64))
    assert (fog(noise(), depth, 0.0, AIR) == noise()).all()
    endless = fog(noise(), np.full((48, 64), np.inf), 0.01, AIR)
    assert (endless == np.rint(np.array(AIR) * 255)).all()


def test_transmittance_halves_at_ln2_over_beta_and_visibility_leaves_two_percent():
    beta = 3.912 / 50
    assert np.isclose(transmittance(np.array(np.log(2) / beta), beta), 0.5)
    assert np.isclose(transmittance(np.array(50.0), beta), 0.02, rtol=1e-3)


def test_contrast_falls_with_the_extinction_and_further_things_are_paler():
    depth = gradient((48, 64))
    contrasts = [fog(photo(), np.full((48, 64), 30.0), beta, AIR).std() for beta in (0, 0.01, 0.03, 0.1)]
    assert contrasts == sorted(contrasts, reverse=True)
    stripes = np.zeros((48, 64, 3), np.uint8)
    seen = fog(stripes, depth, 0.02, AIR)[:, 0, 0].astype(int)
    assert (np.diff(seen) <= 0).all() and seen[0] > seen[-1] + 100


# ---- rain and snow -------------------------------------------------------------------------------------------------


def test_drops_and_flakes_are_hidden_by_what_is_nearer():
    streaks, falling = {"share": 0.1, "length": 0.1, "angle": 90}, {"share": 0.06, "size": 0.02, "angle": 90}
    dark = np.full((64, 64, 3), 60, np.uint8)
    close, far = np.full((64, 64), 1.0), np.full((64, 64), 100.0)
    assert np.ptp(rain(dark, close, 0.0, streaks, 1)) == 0 < np.ptp(rain(dark, far, 0.0, streaks, 1))
    assert np.ptp(snow(dark, close, 0.0, 1.0, falling, 1)) == 0 < np.ptp(snow(dark, far, 0.0, 1.0, falling, 1))
    between = np.full((64, 64), 4.0)
    assert rain(dark, close, 0.0, streaks, 1).sum() < rain(dark, between, 0.0, streaks, 1).sum()
    assert rain(dark, between, 0.0, streaks, 1).sum() < rain(dark, far, 0.0, streaks, 1).sum()


def test_streaks_lie_along_their_angle_and_only_brighten():
    dark, far = np.full((96, 96, 3), 60, np.uint8), np.full((96, 96), 100.0)
    for angle, axis in ((90, 0), (0, 1)):
        made = rain(dark, far, 0.0, {"share": 0.05, "length": 0.15, "angle": angle}, 1).astype(float)[..., 0]
        along, across = (np.abs(np.diff(made, axis=a)).mean() for a in (axis, 1 - axis))
        assert along < 0.5 * across
    assert made.min() >= np.floor(60 * (1 - 1.5 * 0.05))


def test_snow_lies_on_what_is_dark():
    dark = np.full((32, 32, 3), 70, np.uint8)
    made = snow(dark, np.full((32, 32), 1.0), 0.0, 2.0, {"share": 0.0, "size": 0.01, "angle": 90}, 1)
    assert (made == made[0, 0]).all() and abs(int(made[0, 0, 0]) - 140) <= 1


def test_smearing_is_convolution():
    values, kernel = rng(1).random((20, 25)), line(7, 33)
    assert np.allclose(smear(values, kernel, 0.0), convolve(values, kernel, mode="constant"))
    image = rng(1).random((20, 25, 3))
    assert np.allclose(smear(image, kernel, None), convolve(image, kernel[..., None], mode="nearest"))


# ---- light ---------------------------------------------------------------------------------------------------------


def test_light_and_numbers_are_inverse_to_each_other():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert (pixels_of(light_of(every)) == every).all()
    assert np.isclose(to_light(np.array(0.5)), 0.21404, atol=1e-5)
    assert np.allclose(from_light(to_light(np.linspace(0, 1, 99))), np.linspace(0, 1, 99))


def test_a_stop_halves_the_light():
    calm = {"shot": 0.0, "read": 0.0}
    white = np.full((4, 4, 3), 255, np.uint8)
    assert (night(white, 1.0, 0.0, [0, 0, 0], calm, 1) == 188).all()
    assert (twilight(white, 1.0, [0, 0, 0], [0, 0, 0]) == 188).all()
    assert (night(white, 0.0, 0.0, [0, 0, 0], calm, 1) == white).all()


def test_a_night_is_dark_pale_blue_and_noisy():
    made = make("night", 1.0).astype(float)
    assert made.mean() < 0.5 * photo().mean()
    assert made[..., 2].mean() > made[..., 0].mean()
    flat = np.full((100, 100, 3), 120, np.uint8)
    quiet, loud = (
        night(flat, 3.0, 0.0, [0, 0, 0], {"shot": shot, "read": 0.0}, 1).astype(float) for shot in (0.0, 0.003)
    )
    light = to_light(loud / 255)
    known = 0.003 * to_light(np.array(120 / 255)) / 8
    assert quiet.std() == 0 and abs(light.var() / known - 1) < 0.1


def test_twilight_is_warm_at_the_horizon():
    grey = np.full((40, 10, 3), 128, np.uint8)
    for name in ("dawn", "dusk"):
        made = make(name, 1.0, pixels=grey).astype(int)
        assert made[-1, 0, 0] > made[-1, 0, 2] and made[0, 0, 2] > made[0, 0, 0]
        assert made.mean() < 128


def test_the_sun_is_brightest_where_it_stands_and_halves_at_its_radius():
    black = np.zeros((101, 101, 3), np.uint8)
    made = light_of(glare(black, 0.5, 0.5, 0.8, 0.2))[..., 0]
    assert made[50, 50] == made.max() and abs(made[50, 50] - 0.8) < 0.01
    assert abs(made[50, 70] / made[50, 50] - 0.5) < 0.02


def test_motion_smears_light_along_its_angle():
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    made = light_of(motion_blur(spot, 0.2, 0))[..., 0]
    assert made[20].sum() > 0.95 and not np.delete(made, 20, axis=0).any()
    wrong = light_of(np.rint(smear(spot.astype(float), line(9, 0), None)).astype(np.uint8))[..., 0]
    assert wrong[20].sum() < 0.2, "smearing the numbers of pixels would lose light"
