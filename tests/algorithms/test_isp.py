"""A camera: taken back and developed again an image is itself; noise is as large as asked for, and of the colours of
its filters."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augforge.algorithms.isp import (
    PATTERNS,
    demosaic,
    draw_camera,
    mosaic,
    process,
    reshoot,
    sensor_noise,
    unprocess,
)
from augforge.data.ids import rng


def camera(severity=0.0, seed=1, loses=False, **changes):
    return {**draw_camera(rng(seed, "camera"), severity, loses), **changes}


def noise(size=(40, 30)):
    return rng(3, "pixels").integers(0, 256, (*size, 3), dtype=np.uint8)


def photo(size=(64, 64)):
    """Smooth colours with edges, black and white."""
    soft = gaussian_filter(rng(5).random((*size, 3)), (6, 6, 0), mode="wrap")
    values = ((soft - soft.min()) / np.ptp(soft) * 255).astype(np.uint8)
    values[:20, :20] = 255
    values[30:40, 30:] = 0
    values[50:, 10:30] = (255, 0, 40)
    return values


@pytest.mark.parametrize("seed", range(5))
def test_without_a_mosaic_and_noise_there_and_back_is_the_identity(seed):
    image = noise().astype(np.float64) / 255
    kind = camera(seed=seed)
    assert np.abs(process(unprocess(image, kind), kind) - image).max() < 1e-5


@pytest.mark.parametrize("loses", [False, True])
@pytest.mark.parametrize("pixels", [noise(), photo()])
def test_at_severity_0_every_byte_stays(pixels, loses):
    for seed in range(4):
        assert (reshoot(pixels, camera(seed=seed, loses=loses), 9) == pixels).all()


def test_a_mosaic_alone_does_not_come_back():
    lossy = reshoot(photo(), camera(loss=1.0), 9)
    assert np.abs(lossy.astype(int) - photo()).max() > 20
    flat = np.full((16, 16, 3), (90, 140, 60), np.uint8)
    assert (reshoot(flat, camera(loss=1.0), 9) == flat).all()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 2), (3, 2)])
def test_a_constant_image_survives_its_mosaic(pattern, size):
    constant = np.broadcast_to(np.array([0.2, 0.5, 0.9]), (*size, 3))
    assert np.allclose(demosaic(mosaic(constant, pattern), pattern), constant)


def test_the_pixels_of_each_pattern_have_the_colours_of_its_name():
    colours = np.broadcast_to(np.array([1.0, 2.0, 3.0]), (4, 4, 3))
    for pattern in PATTERNS:
        cell = mosaic(colours, pattern)[:2, :2].ravel()
        assert cell.tolist() == ["rgb".index(c) + 1 for c in pattern]
        assert (np.tile(cell.reshape(2, 2), (2, 2)) == mosaic(colours, pattern)).all()


def test_interpolation_is_linear_and_exact_on_slopes():
    one, other = rng(1).random((12, 10)), rng(2).random((12, 10))
    assert np.allclose(demosaic(one + 2 * other, "rggb"), demosaic(one, "rggb") + 2 * demosaic(other, "rggb"))
    slope = np.add.outer(np.arange(12) * 0.01, np.arange(10) * 0.02)
    found = demosaic(mosaic(np.repeat(slope[..., None], 3, 2), "grbg"), "grbg")
    assert np.allclose(found[1:-1, 1:-1], slope[1:-1, 1:-1, None])


def test_the_variance_of_the_noise_is_that_of_the_law():
    for signal in (0.0, 0.1, 0.6):
        made = sensor_noise(np.full((400, 400), signal), 0.01, 0.0004, rng(1))
        assert abs(made.var() / (0.01 * signal + 0.0004) - 1) < 0.02
        assert abs(made.mean()) < 1e-3
    assert not sensor_noise(np.ones((4, 4)), 0.0, 0.0, rng(1)).any()


def test_noise_keeps_the_detail_and_grows_with_its_variance():
    errors = []
    for shot in (0.0, 1e-4, 1e-3, 1e-2):
        errors.append(np.abs(reshoot(photo(), camera(shot=shot), 2).astype(int) - photo()).mean())
    assert errors[0] == 0 and errors == sorted(errors) and errors[-1] > 3
    independent = reshoot(np.full((64, 64, 3), 128, np.uint8), camera(shot=0.01), 2).astype(float)
    neighbours = np.corrcoef(independent[:, 1:, 0].ravel(), independent[:, :-1, 0].ravel())[0, 1]
    assert neighbours > 0.3, "the noise of neighbours is alike, as a mosaic was interpolated"


def test_errors_of_exposure_and_white_balance_go_the_way_they_are_called():
    grey = np.full((8, 8, 3), 110, np.uint8)
    assert reshoot(grey, camera(exposure=0.5), 1).min() > 110 > reshoot(grey, camera(exposure=-0.5), 1).max()
    red = reshoot(grey, camera(**{"red-error": 0.2}), 1)[0, 0].astype(int)
    assert red[0] > 110 and red[0] > red[2]


def test_parameters_are_json_and_decide_alone():
    kind = camera(1.0, seed=8)
    again = json.loads(json.dumps(kind))
    assert (reshoot(photo(), kind, 3) == reshoot(photo(), again, 3)).all()
    assert (reshoot(photo(), kind, 3) != reshoot(photo(), kind, 4)).any()
    assert np.allclose(np.sum(kind["matrix"], axis=1), 1)
