"""What is added to latents in training, and what a denoiser should answer: diffusion (DDPM) and flow matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.training_utils import compute_density_for_timestep_sampling
from torch import Tensor

from augforge.errors import ModelError


class Noising(ABC):
    """Noised latents at times, and the target there. Latents and noise are (b, ...), times (b,) as the denoiser's."""

    @abstractmethod
    def places(self, count: int) -> Tensor:
        """(count,) places in the schedule, drawn by torch's own generator, on the CPU."""

    @abstractmethod
    def spread(self, count: int) -> Tensor:
        """(count,) places, evenly of the whole schedule, neither end among them."""

    @abstractmethod
    def times(self, places: Tensor) -> Tensor:
        """(b,) what the denoiser is told at these places."""

    @abstractmethod
    def noised(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """The latents with the noise of these places."""

    @abstractmethod
    def target(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """What the denoiser should answer."""


class Diffusing(Noising):
    """Denoising diffusion (Ho et al., NeurIPS 2020): the noise, the velocity or the latents, as the model was trained.

    Which of them is in the scheduler's `prediction_type`; a scheduler that is only for sampling has the same settings.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler: Any = DDPMScheduler.from_config(scheduler.config)
        self.prediction = str(self._scheduler.config.prediction_type)
        if self.prediction not in ("epsilon", "v_prediction", "sample"):
            raise ModelError(f"a model that predicts {self.prediction!r} cannot be trained", "use another model")

    def places(self, count: int) -> Tensor:
        """As `Noising.places`: uniform."""
        return torch.randint(0, self._steps, (count,))

    def spread(self, count: int) -> Tensor:
        """As `Noising.spread`."""
        return torch.linspace(0, self._steps - 1, count + 2)[1:-1].long()

    def times(self, places: Tensor) -> Tensor:
        """As `Noising.times`: the places themselves."""
        return places

    def noised(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """As `Noising.noised`: sqrt(a) latents + sqrt(1 - a) noise."""
        noised: Tensor = self._scheduler.add_noise(latents, noise, places)
        return noised

    def target(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """As `Noising.target`: noise, sqrt(a) noise - sqrt(1 - a) latents, or latents."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "sample":
            return latents
        velocity: Tensor = self._scheduler.get_velocity(latents, noise, places)
        return velocity

    @property
    def _steps(self) -> int:
        return int(self._scheduler.config.num_train_timesteps)


class Flowing(Noising):
    """Flow matching (rectified flow): straight from the latents to noise, and the target is the difference.

    Times are logit-normal, of mean 0 and deviation 1 (Esser et al., ICML 2024), over the schedule with its shift.
    """

    def __init__(self, scheduler: Any) -> None:
        config = scheduler.config
        shift = config.get("shift", config.get("flow_shift", 1.0))  # the second in solvers of diffusion, too (SANA)
        self._scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(config, shift=shift)

    def places(self, count: int) -> Tensor:
        """As `Noising.places`."""
        drawn: Tensor = compute_density_for_timestep_sampling("logit_normal", count, logit_mean=0.0, logit_std=1.0)
        return (drawn * self._steps).long().clamp(max=self._steps - 1)

    def spread(self, count: int) -> Tensor:
        """As `Noising.spread`."""
        return torch.linspace(0, self._steps - 1, count + 2)[1:-1].long()

    def times(self, places: Tensor) -> Tensor:
        """As `Noising.times`: 0 is no noise, 1,000 nothing else."""
        times: Tensor = self._scheduler.timesteps.to(places.device)[places]
        return times

    def noised(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """As `Noising.noised`: (1 - s) latents + s noise."""
        share = self._shares(latents, places)
        return (1 - share) * latents + share * noise

    def target(self, latents: Tensor, noise: Tensor, places: Tensor) -> Tensor:
        """As `Noising.target`: noise - latents."""
        return noise - latents

    def _shares(self, latents: Tensor, places: Tensor) -> Tensor:
        sigmas: Tensor = self._scheduler.sigmas.to(latents.device, latents.dtype)[places]
        return sigmas.view(-1, *(1 for _ in latents.shape[1:]))

    @property
    def _steps(self) -> int:
        return int(self._scheduler.config.num_train_timesteps)


def noising_of(scheduler: Any) -> Noising:
    """How the model of a scheduler was trained."""
    flows = type(scheduler).__name__.startswith("FlowMatch") or scheduler.config.get("prediction_type") == (
        "flow_prediction"
    )
    return Flowing(scheduler) if flows else Diffusing(scheduler)
