"""Colours as random fields."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.fields import COLOURS, FieldSpec, recolour
from augforge.algorithms.fields.colour import GREY
from augforge.data.ids import rng

GLOBAL = 1000.0


def photo():
    return rng(4, "photo").integers(0, 256, (24, 32, 3), dtype=np.uint8)


def specs(amplitude, correlation=0.3):
    return [FieldSpec(name, amplitude, correlation, 6.0) for name in COLOURS]


def test_amplitude_0_leaves_every_byte():
    assert (recolour(photo(), 7, specs(0.0)) == photo()).all()


@pytest.mark.parametrize("name", COLOURS)
def test_a_field_of_0_leaves_an_image(name):
    values = photo().astype(np.float32) / 255
    assert np.abs(COLOURS[name](values, np.zeros((24, 32, 1), np.float32)) - values).max() < 1e-5


@pytest.mark.parametrize("name", COLOURS)
def test_the_parameter_changes_from_place_to_place_but_not_with_a_very_long_correlation(name):
    flat = np.broadcast_to(np.array([150, 90, 60], np.uint8), (40, 40, 3)).copy()
    flat[::2] = (60, 100, 130)
    local = recolour(flat, 3, [FieldSpec(name, 0.3, 0.2, 6.0)])
    whole = recolour(flat, 3, [FieldSpec(name, 0.3, GLOBAL, 6.0)])
    assert np.ptp(local[::2].reshape(-1, 3), axis=0).max() > 3
    assert np.ptp(whole[::2].reshape(-1, 3), axis=0).max() <= 1


def test_brightness_multiplies_saturation_keeps_grey_and_hue_keeps_luminance():
    values = photo().astype(np.float32) / 255 * 0.4 + 0.3
    field = rng(1).normal(0, 0.1, (24, 32, 1)).astype(np.float32)
    assert np.allclose(COLOURS["brightness"](values, field), values * np.exp(field))
    for name in ("saturation", "hue"):
        assert np.abs(COLOURS[name](values, field) @ GREY - values @ GREY).max() < 2e-3
    third = COLOURS["hue"](values, np.full((24, 32, 1), 1 / 3, np.float32))
    again = COLOURS["hue"](third, np.full((24, 32, 1), 2 / 3, np.float32))
    assert np.abs(again - values).max() < 1e-4


def test_the_same_seed_gives_the_same_image_and_another_another():
    once = recolour(photo(), 5, specs(0.2))
    assert (once == recolour(photo(), 5, specs(0.2))).all()
    assert (once != recolour(photo(), 6, specs(0.2))).any()
