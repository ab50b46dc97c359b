"""The training of an unconditional diffusion model: a U-Net learns the noise in images that were noised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from numpy.typing import NDArray
from torch import Tensor

from augforge.models.networks.unconditional import unet_config
from augforge.models.tensors import eval_mode, to_picture, to_tensor
from augforge.training.images import TrainingImages
from augforge.training.night.views import SHOWN, apart
from augforge.training.squares import Fit, Squares
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

UNET, SCHEDULER = "unet", "scheduler"
WEIGHTS = f"{UNET}/diffusion_pytorch_model.safetensors"
SAMPLING_STEPS = 50
"""Steps of the pictures on the sample sheet."""
MOST_COMPARED = 512
"""Training images at most among which the nearest to a made one is looked for."""
NOISE_SEED = 0
AT_ONCE = 8
MOST_JUDGED = 32


@dataclass(frozen=True, slots=True)
class DiffusionOptions:
    """How an unconditional diffusion model is trained.

    Attributes:
        size: side of the squares in px.
        width, levels, blocks: of the U-Net; see `unet_config`.
        timesteps: steps of noise, from almost none to nothing but noise.
        schedule: of the noise's variance, by diffusers' name: linear (DDPM) or squaredcos_cap_v2 (cosine).
        fit: stretch shows whole images, crop random squares of 0.8 to 1 of the shorter side.
        flip: mirror half of the images.
        ema: the most that is kept, at every step, of the moving average of the weights.
        batch: images per step, in this process.
        rate: learning rate of Adam, constant.
    """

    size: int = 64
    width: int = 64
    levels: int = 4
    blocks: int = 2
    timesteps: int = 1000
    schedule: str = "squaredcos_cap_v2"
    fit: Fit = "stretch"
    flip: bool = False
    ema: float = 0.9999
    batch: int = 16
    rate: float = 1e-4


class DiffusionTask(TrainingTask):
    """Denoising diffusion (DDPM, Ho et al., NeurIPS 2020, arXiv 2006.11239), with a moving average of the weights.

    The moving average is diffusers' EMAModel: at step n, counted from 0, it keeps min(ema, (1 + n) / (10 + n)) of what
    it was, and nothing at step 0.
    """

    def __init__(self, pictures: TrainingImages, context: TrainingContext, options: DiffusionOptions) -> None:
        super().__init__(context)
        self.options = options
        self.squares = Squares(pictures, options.size, options.fit, options.flip)
        self._learnt, held = apart(len(pictures))
        self.held_out = len(held)
        self._judged = held or self._learnt
        self.config = unet_config(options.size, options.width, options.levels, options.blocks)
        self.unet: Any = UNet2DModel(**self.config)
        self.scheduler: Any = DDPMScheduler(num_train_timesteps=options.timesteps, beta_schedule=options.schedule)
        self.nets = {"unet": self.unet}
        self.optimizers = {"unet": torch.optim.Adam(self.unet.parameters(), options.rate)}
        self.ema = EMAModel(self.unet.parameters(), decay=options.ema)
        self.ema.to(context.device)

    def batch(self, random: np.random.Generator) -> Batch:
        """`images` (b, 3, s, s) in [-1, 1], drawn with replacement."""
        places = random.integers(len(self._learnt), size=self.options.batch)
        views = [self.squares.drawn(self._learnt[place], random) for place in places]
        return {"images": torch.stack([to_tensor(view) for view in views])}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Learn the noise at times drawn at random."""
        images = batch["images"]
        times = torch.randint(0, self.options.timesteps, (len(images),), device=images.device)
        loss = self._loss(images, torch.randn_like(images), times)
        self.update("unet", loss)
        self.ema.step(self.unet.parameters())
        return {"loss": loss.detach()}

    def lr_factor(self, step: int) -> float:
        """Constant: the moving average does what a falling rate would."""
        return 1.0

    def measure(self) -> dict[str, float]:
        """`denoising`: the mean squared error of the averaged weights on held-out images (or on training ones), scalar.

        The noise and the times, spread evenly, are the same at every call.
        """
        found = []
        with self.averaged():
            for start in range(0, len(self._fixed), AT_ONCE):
                images = self._fixed[start : start + AT_ONCE].to(self.context.device)
                generator = torch.Generator().manual_seed(NOISE_SEED + start)
                noise = torch.randn(images.shape, generator=generator).to(images.device)
                times = torch.linspace(0, self.options.timesteps - 1, len(images) + 2)[1:-1].long().to(images.device)
                found += [float(self._loss(images, noise, times))] * len(images)
        return {"denoising": float(np.mean(found)), "held_out": float(self.held_out)}

    def outputs(self) -> NDArray[np.float32] | None:
        """(n, s, s, 3) in [0, 1]: what a few different noises become."""
        return ((self._made + 1) / 2).permute(0, 2, 3, 1).numpy().astype(np.float32)

    def sample_grid(self) -> SampleGrid:
        """Made pictures, and beside each the nearest of up to 512 training images: is it a copy?"""
        real = np.stack(self.squares.spread(MOST_COMPARED))
        rows = []
        for picture in map(to_picture, self._made):
            distances = np.square(real.astype(np.int32) - picture).sum(axis=(1, 2, 3))
            rows.append([picture, real[int(distances.argmin())]])
        return SampleGrid(("made", "nearest of training"), rows)

    def result(self) -> Result:
        """The averaged weights, as a DDPMPipeline of diffusers keeps them."""
        with self.averaged():
            weights = {name: value.detach().cpu().clone() for name, value in self.unet.state_dict().items()}
        described = {
            "model_index.json": DDPMPipeline(self.unet, self.scheduler),
            f"{UNET}/config.json": self.unet,
            f"{SCHEDULER}/scheduler_config.json": self.scheduler,
        }
        facts = {
            "architecture": "UNet2DModel",
            "size": self.options.size,
            "parameters": sum(value.numel() for value in weights.values()),
        }
        return Result(
            weights, facts, WEIGHTS, {name: part.to_json_string().encode() for name, part in described.items()}
        )

    def state_dict(self) -> dict[str, Any]:
        """The moving average."""
        return {"ema": self.ema.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The moving average, where the network is."""
        self.ema.load_state_dict(state["ema"])
        self.ema.to(self.context.device)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network with its averaged weights, in eval mode; those that learn come back."""
        parameters = list(self.unet.parameters())
        self.ema.store(parameters)
        self.ema.copy_to(parameters)
        try:
            with eval_mode(self.unet):
                yield
        finally:
            self.ema.restore(parameters)

    def _loss(self, images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        noised = self.scheduler.add_noise(images, noise, times)
        return F.mse_loss(self.unet(noised, times).sample.float(), noise.float())

    @property
    def _made(self) -> Tensor:
        """(n, 3, s, s) in [-1, 1] on the CPU: the same noises, denoised in a few steps of DDPM."""
        scheduler: Any = DDPMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(min(SAMPLING_STEPS, self.options.timesteps))
        generator = torch.Generator().manual_seed(NOISE_SEED)
        shape = (SHOWN, 3, self.options.size, self.options.size)
        images = torch.randn(shape, generator=generator).to(self.context.device)
        with self.averaged():
            for time in scheduler.timesteps:
                noise = self.unet(images, time).sample
                images = scheduler.step(noise, time, images, generator=generator).prev_sample
        return images.float().cpu().clamp(-1, 1)

    @cached_property
    def _fixed(self) -> Tensor:
        """(n, 3, s, s) in [-1, 1]: the images that are judged by."""
        return torch.stack([to_tensor(self.squares.whole(index)) for index in self._judged[:MOST_JUDGED]])
