"""Chains of blur, resizing, noise and JPEG."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augforge.algorithms.degrade import STEPS, apply_chain, draw_chain
from augforge.algorithms.degrade.chain import blur, jpeg, noise, resize
from augforge.data.ids import rng


def photo(size=(48, 64)):
    soft = gaussian_filter(rng(5).random((*size, 3)), (2, 2, 0), mode="nearest")
    return ((soft - soft.min()) / np.ptp(soft) * 255).astype(np.uint8)


def sharpness(pixels):
    return np.abs(np.diff(pixels.astype(float), axis=0)).mean()


def test_at_severity_0_there_is_no_step_and_every_byte_stays():
    assert draw_chain(rng(1), 0.0, list(STEPS), 2) == []
    assert (apply_chain(photo(), []) == photo()).all()


def test_steps_come_in_the_order_given_once_a_round():
    chain = draw_chain(rng(1), 0.7, ["jpeg", "blur"], 2)
    assert [step["step"] for step in chain] == ["jpeg", "blur", "jpeg", "blur"]
    again = json.loads(json.dumps(chain))
    assert (apply_chain(photo(), chain) == apply_chain(photo(), again)).all()


@pytest.mark.parametrize("name", STEPS)
def test_the_more_severe_the_further_from_the_image(name):
    errors = []
    for severity in (0.1, 0.4, 1.0):
        made = [apply_chain(photo(), draw_chain(rng(seed), severity, [name])) for seed in range(6)]
        assert all(image.shape == photo().shape for image in made)
        errors.append(np.mean([np.abs(image.astype(int) - photo()).mean() for image in made]))
    assert errors[0] < errors[1] < errors[2]


def test_an_even_blur_is_a_gaussian_and_an_uneven_one_lies_along_its_angle():
    known = gaussian_filter(photo().astype(float), (1.5, 1.5, 0), mode="nearest", truncate=3.34)
    assert np.abs(blur(photo(), 1.5, 1.5, 30) - known).max() <= 1
    dot = np.zeros((31, 31, 3), np.uint8)
    dot[15, 15] = 255
    along = blur(dot, 0.5, 3.0, 0).astype(float)
    assert along[15].sum() > 3 * along[:, 15].sum()
    assert (blur(dot, 0.5, 3.0, 90) == along.swapaxes(0, 1)).all()


def test_a_size_that_was_lost_does_not_come_back():
    assert sharpness(resize(photo(), 0.25, "box", "bicubic")) < 0.8 * sharpness(photo())
    assert (resize(photo(), 1.0, "box", "bicubic") == photo()).all()
    assert resize(photo((3, 50)), 0.1, "box", "bicubic").shape == (3, 50, 3)


def test_noise_is_as_large_as_asked_for_and_grey_noise_is_alike_in_all_channels():
    flat = np.full((200, 200, 3), 100, np.uint8)
    made = noise(flat, 6.0, 0.5, False, 1).astype(float)
    assert abs(made.var() / (36 + 50) - 1) < 0.03
    grey = noise(flat, 6.0, 0.0, True, 1)
    assert (grey == grey[..., :1]).all() and (noise(flat, 0, 0, False, 1) == flat).all()


def test_a_worse_quality_is_further_away():
    errors = [np.abs(jpeg(photo(), quality).astype(int) - photo()).mean() for quality in (95, 50, 10)]
    assert errors == sorted(errors) and errors[0] < 4
