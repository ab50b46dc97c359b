"""Shifts of latents: directions are orthonormal and those of most spread, and opposite strengths are opposite."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.latents import principal_directions, principal_shift, style_shift
from augforge.data.ids import rng


def latents(count: int = 6, shape: tuple[int, int, int] = (4, 5, 6)) -> list[np.ndarray]:
    return [rng(number, "latent").normal(size=shape).astype(np.float32) for number in range(count)]


def test_directions_are_orthonormal_and_those_of_numpys_svd():
    found = principal_directions(latents())
    assert np.allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-9)
    flat = np.stack([latent.ravel() for latent in latents()]).astype(float)
    _, values, vectors = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    assert np.allclose(found.spreads, values[:5] / 5**0.5)
    assert np.allclose(np.abs((found.vectors * vectors[:5]).sum(1)), 1)
    assert all(vector[np.abs(vector).argmax()] > 0 for vector in found.vectors)


def test_a_planted_direction_is_found_with_its_spread():
    way = rng(1, "way").normal(size=120)
    way /= np.linalg.norm(way)
    planted = [(3.0 + place * way).reshape(4, 5, 6).astype(np.float32) for place in (-2.0, 0.0, 2.0)]
    found = principal_directions(planted)
    assert len(found.spreads) == 1 and found.spreads[0] == pytest.approx(2.0, rel=1e-5)
    assert abs(found.vectors[0] @ way) == pytest.approx(1, abs=1e-5)
    shift = principal_shift(found, [0.5, 0.7, -0.2], (4, 5, 6))
    assert np.linalg.norm(shift) == pytest.approx(1.0, rel=1e-5), "half of a spread of 2; there is no second direction"


def test_opposite_strengths_move_what_a_direction_measures_opposite_ways():
    found = principal_directions(latents())
    strengths = [0.8, -0.3, 0.1]
    there, back = (principal_shift(found, [sign * s for s in strengths], (4, 5, 6)) for sign in (1, -1))
    assert np.allclose(there, -back)
    score = found.vectors[:3] @ there.ravel().astype(float)
    assert np.allclose(score, np.array(strengths) * found.spreads[:3], atol=1e-5)


def test_no_strength_is_no_shift():
    found = principal_directions(latents())
    assert not principal_shift(found, [0.0, 0.0], (4, 5, 6)).any()
    assert not style_shift(latents(1)[0], [0.0] * 4, [0.0] * 4).any()


@pytest.mark.parametrize("count", [1, 3])
def test_equal_latents_have_no_direction(count):
    found = principal_directions(latents(1) * count)
    assert len(found.spreads) == 0
    assert not principal_shift(found, [1.0, 1.0], (4, 5, 6)).any()


def test_a_style_has_the_means_and_spreads_that_were_asked_for():
    (latent,) = latents(1)
    gains, offsets = [0.5, -0.5, 0.0, 0.2], [0.0, 1.0, -2.0, 0.3]
    moved = latent + style_shift(latent, gains, offsets)
    mean, spread = latent.mean((1, 2)), latent.std((1, 2))
    assert np.allclose(moved.std((1, 2)), (1 + np.array(gains)) * spread, atol=1e-5)
    assert np.allclose(moved.mean((1, 2)), mean + np.array(offsets) * spread, atol=1e-5)
    order = [np.argsort(channel.ravel()).tolist() for channel in latent]
    assert [np.argsort(channel.ravel()).tolist() for channel in moved] == order, "places keep their order: the layout"
