"""What is added to latents and what a denoiser should answer, against the closed forms."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

from augforge.errors import ModelError
from augforge.training.lora.noising import Diffusing, Flowing, noising_of


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(5, 4, 3, 3, generator=generator) for _ in range(2))
    return latents, noise, torch.tensor([0, 10, 500, 900, 999])


@pytest.mark.parametrize("kind", [DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_latents_follow_from_what_is_noised_and_the_target(kind, prediction, drawn):
    latents, noise, places = drawn
    schedule = {"beta_schedule": "scaled_linear"}
    noising = noising_of(kind(prediction_type=prediction, **schedule))
    noised, target = noising.noised(latents, noise, places), noising.target(latents, noise, places)
    share = torch.cumprod(1 - torch.linspace(0.0001**0.5, 0.02**0.5, 1000) ** 2, 0)[places].view(-1, 1, 1, 1)
    found = {
        "epsilon": (noised - (1 - share).sqrt() * target) / share.sqrt(),
        "v_prediction": share.sqrt() * noised - (1 - share).sqrt() * target,
        "sample": target,
    }[prediction]
    assert torch.allclose(found, latents, atol=1e-3)
    others = {
        name: torch.allclose(noising_of(kind(prediction_type=name, **schedule)).target(*drawn), target)
        for name in ("epsilon", "v_prediction", "sample")
    }
    assert [name for name, same in others.items() if same] == [prediction], "another target is another one"
    assert torch.equal(noising.times(places), places)


def test_a_flow_goes_straight_from_the_latents_to_noise(drawn):
    latents, noise, places = drawn
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    noising = noising_of(scheduler)
    assert isinstance(noising, Flowing)
    noised, target = noising.noised(latents, noise, places), noising.target(latents, noise, places)
    times = noising.times(places)
    share = (times / 1000).view(-1, 1, 1, 1)
    assert torch.allclose(noised - share * target, latents, atol=1e-5)
    assert torch.allclose(noised + (1 - share) * target, noise, atol=1e-5)
    assert not torch.allclose(noised + share * target, latents, atol=0.1), "the other sign leads elsewhere"
    shifted = 3 * (1 - places / 1000) / (1 + 2 * (1 - places / 1000))
    assert torch.allclose(times / 1000, shifted, atol=1e-3)


def test_a_flow_that_a_solver_of_diffusion_samples_has_its_shift():
    """SANA's scheduler, whose shift has another name."""
    solver = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    places = torch.arange(0, 1000, 100)
    times = noising_of(solver).times(places)
    assert torch.equal(times, noising_of(FlowMatchEulerDiscreteScheduler(shift=3.0)).times(places))
    assert not torch.allclose(times, noising_of(FlowMatchEulerDiscreteScheduler()).times(places), atol=1.0)


@pytest.mark.parametrize(
    "scheduler", [DDPMScheduler(num_train_timesteps=40), FlowMatchEulerDiscreteScheduler(num_train_timesteps=40)]
)
def test_places_are_of_the_schedule_and_spread_evenly(scheduler):
    noising = noising_of(scheduler)
    torch.manual_seed(1)
    places = noising.places(4000)
    assert int(places.min()) == 0 and 38 <= int(places.max()) < 40
    spread = noising.spread(4)
    assert spread.tolist() == [7, 15, 23, 31]
    if isinstance(noising, Diffusing):
        assert torch.bincount(places).float().std() < 15, "uniform: 100 each, with a deviation of 10"
    else:
        assert (torch.bincount(places, minlength=40)[[0, 20, 39]].diff().sign() == torch.tensor([1, -1])).all()


def test_what_cannot_be_trained_is_said():
    with pytest.raises(ModelError, match="predicts 'something'"):
        Diffusing(DDPMScheduler(prediction_type="something"))
