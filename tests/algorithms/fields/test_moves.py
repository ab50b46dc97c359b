"""Local affine transforms: they never fold, have an inverse, and are one affine transform where they vary slowly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.algorithms.fields import FieldSpec
from augforge.algorithms.geometry import Affine, Fields, Geometry
from augforge.algorithms.geometry.base import grid
from augforge.algorithms.geometry.fields import PARAMETERS, STEEPEST, steepness, unbounded
from augforge.data.ids import rng

SIZE = (40, 56)
USUAL = {"rotate": 10.0, "scale": 0.15, "shear": 0.1, "shift": 0.04}


def fields(seed=3, correlation=0.3, exponent=6.0, **amplitudes):
    given = amplitudes or USUAL
    return Fields(seed, tuple(FieldSpec(name, size, correlation, exponent) for name, size in given.items()))


def jacobian(points):
    """(h - 1, w - 1) the determinants of differences of neighbouring points."""
    down = [np.diff(axis, axis=0)[:, :-1] for axis in points]
    right = [np.diff(axis, axis=1)[:-1] for axis in points]
    return down[0] * right[1] - down[1] * right[0]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    strength=st.floats(0.1, 40),
    correlation=st.floats(0.03, 2),
    exponent=st.floats(2.5, 8),
    size=st.tuples(st.integers(2, 50), st.integers(2, 50)),
)
def test_however_strong_it_never_folds(seed, strength, correlation, exponent, size):
    op = fields(seed, correlation, exponent, **{name: strength * value for name, value in USUAL.items()})
    for axis in range(2):  # finer than pixels, and beyond the image
        rows, columns = np.meshgrid(*(np.linspace(-0.6, n - 0.4, 97 + axis) for n in size), indexing="ij")
        assert jacobian(op.source((rows, columns), size)).min() > 0


def test_without_the_bound_the_same_fields_fold():
    op = fields(correlation=0.1, shift=0.3)
    moved = unbounded(op.seed, op.fields, (96, 96))
    rows, columns = np.mgrid[: moved.shape[1], : moved.shape[2]] / 96.0
    assert jacobian((rows + moved[0], columns + moved[1])).min() < 0
    assert op.share((96, 96)) < 0.5


def test_a_weak_field_is_not_made_weaker():
    op = fields(shift=0.01)
    assert op.share(SIZE) == 1.0
    assert steepness(unbounded(op.seed, op.fields, SIZE), SIZE) < STEEPEST


def test_the_target_is_the_inverse_of_the_source():
    op = fields()
    points = grid(SIZE)
    for there in (op.source(op.target(points, SIZE), SIZE), op.target(op.source(points, SIZE), SIZE)):
        assert max(np.abs(there[axis] - points[axis]).max() for axis in (0, 1)) < 1e-6


@pytest.mark.parametrize("name", PARAMETERS)
def test_amplitude_0_leaves_every_byte_and_any_other_does_not(name):
    image = rng(2).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    assert (Geometry((fields(**{name: 0.0}),)).apply(image) == image).all()
    assert (Geometry((fields(**{name: USUAL[name]}),)).apply(image) != image).any()


def test_a_very_long_correlation_is_one_affine_transform():
    size = (64, 64)
    op = fields(correlation=1000.0, exponent=6.0, rotate=25.0)
    turned = np.stack(op.source(grid(size), size))
    angle = np.rad2deg(np.arctan2(turned[1, -1, 0] - turned[1, 0, 0], turned[0, -1, 0] - turned[0, 0, 0]))
    known = np.stack(Affine(-angle).source(grid(size), size))
    assert abs(angle) > 0.5 and np.abs(turned - known).max() < 1e-3


def test_label_maps_get_no_new_class_and_follow_the_image():
    labels = np.kron(rng(2).choice(np.array([3, 40, 200], np.uint8), (5, 7)), np.ones((8, 8), np.uint8))
    geometry = Geometry((fields(),))
    moved = geometry.apply_label(labels, void=0)
    assert set(np.unique(moved)) <= {0, 3, 40, 200}
    shown = geometry.apply(labels.astype(np.float64))
    inside = geometry.valid(SIZE)
    assert (np.abs(shown - moved)[inside] < 1).mean() > 0.6


def test_it_is_logged_as_json():
    geometry = Geometry((fields(),))
    again = Geometry.from_plain(json.loads(json.dumps(geometry.plain())))
    assert again == geometry
    with pytest.raises(ValueError, match="none of rotate"):
        Fields(1, (FieldSpec("zoom", 1.0, 1.0, 4.0),))
    with pytest.raises(ValueError, match="exponent over 2"):
        fields(exponent=2.0)
