"""RePaint's schedule: its counts, its noise, and that what is known stays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, RePaintScheduler

from augforge.algorithms.repaint import Jumps, repaint, scheduler_for

TRAINED = DDPMScheduler(num_train_timesteps=1000)
CONFIG = TRAINED.config


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + number) for number in range(count)]


@pytest.mark.parametrize(
    ("steps", "length", "samples", "denoised", "back"),
    [(250, 10, 10, 2410, 2160), (100, 10, 10, 910, 810), (50, 10, 2, 90, 40), (10, 2, 3, 26, 16), (50, 10, 1, 50, 0)],
)
def test_the_schedule_has_its_published_counts(steps, length, samples, denoised, back):
    times = scheduler_for(TRAINED, steps, Jumps(length, samples)).timesteps.tolist()
    up = sum(one < other for one, other in pairwise(times))
    assert (len(times) - up, up) == (denoised, back)
    assert max(times) == 1000 - 1000 // steps and times[-1] == 0


def test_the_way_back_gives_the_noise_that_the_model_is_told():
    """From x0 = 1 at one time to the next: mean sqrt(abar_t), variance 1 - abar_t. diffusers' own overshoots."""
    ours = scheduler_for(TRAINED, 50, Jumps())
    theirs = RePaintScheduler.from_config(CONFIG)
    theirs.set_timesteps(50, 10, 10)
    wanted = ours.alphas_cumprod
    for time in (0, 20, 400, 980):
        before = wanted[time - 20] if time else torch.tensor(1.0)
        noise = torch.randn(200_000, generator=torch.Generator().manual_seed(1))
        known = before**0.5 + (1 - before) ** 0.5 * noise
        found = [s.undo_step(known, time, torch.Generator().manual_seed(2)) for s in (ours, theirs)]
        mean, variance = float(wanted[time] ** 0.5), float(1 - wanted[time])
        assert float(found[0].mean()) == pytest.approx(mean, abs=0.01)
        assert float(found[0].var()) == pytest.approx(variance, rel=0.02, abs=1e-6)
        if time in (0, 20):
            assert float(found[1].var()) > 1.2 * variance, "with betas that are still to come"


def test_with_all_steps_the_way_back_is_diffusers_own():
    ours, theirs = scheduler_for(TRAINED, 1000, Jumps(10, 2)), RePaintScheduler.from_config(CONFIG)
    theirs.set_timesteps(1000, 10, 2)
    assert (ours.timesteps == theirs.timesteps).all()
    known = torch.randn(2, 3, 4, 4)
    for time in (0, 5, 700):
        both = [s.undo_step(known, time, torch.Generator().manual_seed(3)) for s in (ours, theirs)]
        assert torch.allclose(*both, atol=1e-4)


@pytest.mark.parametrize("steps", [3, 300, 1001])
def test_steps_that_would_not_begin_with_noise_are_refused(steps):
    with pytest.raises(ValueError, match="do not divide"):
        scheduler_for(TRAINED, steps, Jumps())


def nothing(pictures: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    return 0.1 * pictures


def filled(count: int = 2, keep: float = 1.0, predict=nothing, **jumps) -> tuple[torch.Tensor, torch.Tensor]:
    known = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(9)) * 2 - 1
    left = torch.zeros(count, 1, 6, 6)
    left[..., :3] = keep
    scheduler = scheduler_for(TRAINED, 10, Jumps(**{"length": 2, "samples": 3, **jumps}))
    return known, repaint(predict, scheduler, known, left, generators(count))


def test_what_is_known_stays_exactly_and_the_rest_does_not():
    known, made = filled()
    assert torch.equal(made[..., :3], known[..., :3])
    assert not torch.isclose(made[..., 3:], known[..., 3:]).any()


def test_a_picture_does_not_depend_on_its_neighbours():
    _, alone = filled(1)
    _, both = filled(2)
    assert torch.equal(alone[0], both[0])


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_without_jumps_it_is_plain_masked_sampling(eta):
    """DDIM with noise, written out; the known part is noised anew at every step."""
    known, made = filled(1, samples=1, eta=eta)
    signal = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    (generator,) = generators(1)
    picture = torch.randn(known.shape[1:], generator=generator)[None]
    keep = torch.zeros(1, 1, 6, 6)
    keep[..., :3] = 1
    for time in range(900, -1, -100):
        now, then = signal[time], signal[time - 100] if time else torch.tensor(1.0)
        noise = 0.1 * picture
        clean = ((picture - (1 - now) ** 0.5 * noise) / now**0.5).clamp(-1, 1)
        noise = (picture - now**0.5 * clean) / (1 - now) ** 0.5
        fresh = torch.randn(known.shape[1:], generator=generator)[None]
        spread = eta * ((1 - then) / (1 - now) * (1 - now / then)) ** 0.5
        unknown = then**0.5 * clean + (1 - then - spread**2) ** 0.5 * noise + (spread * fresh if time else 0)
        picture = keep * (then**0.5 * known + (1 - then) ** 0.5 * fresh) + (1 - keep) * unknown
    assert torch.allclose(made, torch.where(keep > 0, known, picture), atol=1e-5)


def test_the_model_is_asked_as_often_as_the_schedule_says():
    times = []

    def predict(pictures, time):
        times.append(int(time))
        return nothing(pictures, time)

    filled(predict=predict)
    assert len(times) == 26 and np.all(np.array(times) % 100 == 0)


def test_a_step_of_what_is_not_known_is_ddpms():
    """Also where the clean picture is clipped: diffusers' own scheduler goes elsewhere there."""
    ours, theirs = scheduler_for(TRAINED, 1000, Jumps()), RePaintScheduler.from_config(CONFIG, eta=1.0)
    theirs.set_timesteps(1000, 10, 10)
    ddpm = DDPMScheduler.from_config(CONFIG, variance_type="fixed_small")
    picture, nowhere = 3 * torch.randn(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    for time in (900, 300, 40):
        noise = torch.randn(1, 3, 4, 4)
        found = [
            s.step(noise, time, picture, picture, nowhere, torch.Generator().manual_seed(4)).prev_sample
            for s in (ours, theirs)
        ]
        wanted = ddpm.step(noise, time, picture, torch.Generator().manual_seed(4)).prev_sample
        assert torch.allclose(found[0], wanted, atol=1e-3)
        assert not torch.allclose(found[1], wanted, atol=1e-2)


@pytest.mark.parametrize("kind", ["linear", "squaredcos_cap_v2", "scaled_linear"])
def test_the_noise_is_that_of_the_training(kind):
    trained = DDPMScheduler(num_train_timesteps=200, beta_schedule=kind, clip_sample=kind == "linear")
    found = scheduler_for(trained, 50, Jumps())
    assert torch.equal(found.alphas_cumprod, trained.alphas_cumprod)
    assert found.config.clip_sample == trained.config.clip_sample
