"""RePaint: an unconditional diffusion model fills part of a picture, and the rest stays (Lugmayr et al., CVPR 2022).

At every step the known part is the known picture with fresh noise, the unknown part what the model makes of it; after
`length` steps it goes back so many and on again, `samples` - 1 times, so that the two come to fit (arXiv 2201.09865).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import RePaintScheduler
from diffusers.utils.torch_utils import randn_tensor
from torch import Generator, Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""From noised pictures (n, c, h, w) and the time, scalar, to the noise in them."""


@dataclass(frozen=True, slots=True)
class Jumps:
    """How often it goes back: `length` steps at a time, until each was made `samples` times; 1 is never.

    `eta` is how much of DDPM's noise the unknown part is given: 1 as published, 0 is DDIM.
    """

    length: int = 10
    samples: int = 10
    eta: float = 1.0


class SpacedRePaint(RePaintScheduler):  # type: ignore[misc]  # diffusers is untyped
    """diffusers' scheduler, with two steps that have their closed form.

    There the way back from a time takes the betas that follow it, which with fewer steps than those of the training
    lead to noisier pictures than the model is told; the betas before it are what one step took away. And where the
    clean picture is clipped, the noise is no longer the one that belongs to it. With eta 1 a step is DDPM's here.
    """

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, original_image: Tensor, mask: Tensor, *rest: Any
    ) -> Any:
        """As diffusers', with the noise that belongs to the clipped picture."""
        signal = self.alphas_cumprod[timestep]
        if self.config.clip_sample:
            clean = ((sample - (1 - signal) ** 0.5 * model_output) / signal**0.5).clamp(-1, 1)
            model_output = (sample - signal**0.5 * clean) / (1 - signal) ** 0.5
        return super().step(model_output, timestep, sample, original_image, mask, *rest)

    def undo_step(self, sample: Tensor, timestep: Any, generator: Any = None) -> Tensor:
        """A picture at the time before `timestep` with the noise that it has at `timestep`."""
        before = timestep - self.config.num_train_timesteps // self.num_inference_steps
        left = self.alphas_cumprod[before] if before >= 0 else self.final_alpha_cumprod
        share = self.alphas_cumprod[timestep] / left
        noise = randn_tensor(sample.shape, generator=generator, device=sample.device, dtype=sample.dtype)
        noised: Tensor = share**0.5 * sample + (1 - share) ** 0.5 * noise
        return noised


def scheduler_for(trained: Any, steps: int, jumps: Jumps) -> SpacedRePaint:
    """The schedule of `steps` steps for a model that was trained with the noise of `trained`, a scheduler of diffusers.

    Raises:
        ValueError: the steps do not divide those of the training, so that they would not begin with noise alone.
    """
    betas = trained.betas.cpu().numpy()
    if steps > len(betas) or len(betas) % steps:
        raise ValueError(f"{steps} steps do not divide the {len(betas)} that the model was trained with")
    clip = bool(trained.config.get("clip_sample", True))
    scheduler = SpacedRePaint(len(betas), trained_betas=betas, clip_sample=clip, eta=jumps.eta)
    scheduler.set_timesteps(steps, jumps.length, jumps.samples)
    return scheduler


def repaint(
    predict: Predict, scheduler: SpacedRePaint, known: Tensor, keep: Tensor, generators: Sequence[Generator]
) -> Tensor:
    """Pictures (n, c, h, w) in which what `keep` has is `known`, and the rest goes with it.

    Args:
        predict: the model; see `Predict`.
        scheduler: as `scheduler_for` gives it.
        known: (n, c, h, w) in [-1, 1].
        keep: (n, 1, h, w), 1 for what is known and 0 for what is to be filled.
        generators: one for each picture, so that its neighbours do not matter.
    """
    chosen = list(generators)
    pictures = randn_tensor(known.shape, generator=chosen, device=known.device, dtype=known.dtype)
    last = scheduler.timesteps[0] + 1
    for time in scheduler.timesteps:
        if time < last:
            noise = predict(pictures, time)
            pictures = scheduler.step(noise, time, pictures, known, keep, chosen).prev_sample
        else:
            pictures = scheduler.undo_step(pictures, last, chosen)
        last = time
    return torch.where(keep > 0, known, pictures)
