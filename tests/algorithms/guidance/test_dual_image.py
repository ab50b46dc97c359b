"""The closed form of guidance toward one image and away from another, and what must cancel in it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.guidance import Weights, dual_image_direction

weight = st.floats(0, 20)
above_one = st.floats(1.1, 20)


def predictions(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return list(torch.randn(4, 2, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype))


def guided(start: torch.Tensor, direction: torch.Tensor, scale: float) -> torch.Tensor:
    """What a pipeline makes of the direction: its own classifier-free guidance."""
    return start + scale * direction


@given(above_one, weight)
def test_together_it_is_the_joint_guidance_less_the_negative(scale: float, away: float) -> None:
    u, both, negative, _ = predictions()
    made = guided(u, dual_image_direction(u, both, negative, Weights(scale, away)), scale)
    assert torch.allclose(made, u + scale * (both - u) - away * (negative - u), atol=1e-9)


@given(above_one, weight, weight)
def test_apart_every_condition_has_its_weight(scale: float, away: float, toward: float) -> None:
    u, text, negative, positive = predictions()
    direction = dual_image_direction(u, text, negative, Weights(scale, away, toward), positive)
    wanted = u + scale * (text - u) + toward * (positive - u) - away * (negative - u)
    assert torch.allclose(guided(u, direction, scale), wanted, atol=1e-9)


@given(above_one, weight)
def test_equal_images_of_equal_weight_cancel(scale: float, both: float) -> None:
    u, text, image, _ = predictions()
    made = guided(u, dual_image_direction(u, text, image, Weights(scale, both, both), image), scale)
    assert torch.allclose(made, u + scale * (text - u), atol=1e-9)


def test_no_weight_is_plain_guidance() -> None:
    u, both, negative, _ = predictions()
    assert torch.equal(dual_image_direction(u, both, negative, Weights(3.0, 0.0)), both - u)


def test_a_negative_of_the_whole_condition_lowers_the_scale() -> None:
    u, both, _, _ = predictions()
    made = guided(u, dual_image_direction(u, both, both, Weights(5.0, 2.0)), 5.0)
    assert torch.allclose(made, u + 3.0 * (both - u))


def test_the_wrong_sign_and_an_undivided_weight_are_told_apart() -> None:
    u, both, negative, _ = predictions()
    right = guided(u, dual_image_direction(u, both, negative, Weights(4.0, 1.0)), 4.0)
    assert not torch.allclose(right, u + 4.0 * (both - u) + (negative - u))
    assert not torch.allclose(right, u + 4.0 * ((both - u) - (negative - u)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    u, both, negative, _ = predictions(dtype=torch.float32)
    halves = [part.to(dtype) for part in (u, both, negative)]
    direction = dual_image_direction(*halves, Weights(4.0, 1.0))
    assert direction.dtype == torch.float32
    assert torch.equal(direction, dual_image_direction(*(part.float() for part in halves), Weights(4.0, 1.0)))
