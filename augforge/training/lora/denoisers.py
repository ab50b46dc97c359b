"""How the denoiser of each kind of pipeline is called: its latents, its conditions, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from augforge.models.backends.diffusion import Diffusion

Condition = Mapping[str, Any]
"""What a denoiser is given beside latents and times; tensors (b, ...)."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What b images are learnt by: prompts, and the images themselves (`keys` name them) for models that see them.

    `labels` are for models that are told a class and no text.
    """

    prompts: Sequence[str]
    keys: Sequence[str]
    images: Sequence[Image.Image]
    labels: Sequence[str] = ()


class Denoiser(ABC):
    """The denoiser of one kind of pipeline, in training.

    Attributes:
        pipelines: names of the diffusers classes that it is for.
        targets: the layers that get a LoRA where nothing else is said.
        text_encoders: the text encoders that can learn, too.
    """

    pipelines: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0")
    text_encoders: ClassVar[tuple[str, ...]] = ()

    def __init__(self, backend: Diffusion) -> None:
        self.backend, self.pipe, self.net = backend, backend.pipe, backend.denoiser
        self.texts_learn = False
        self._texts: dict[str, tuple[Tensor, ...]] = {}

    @property
    def prefix(self) -> str:
        """What diffusers calls the denoiser in a file of LoRA weights."""
        return "unet" if getattr(self.pipe, "unet", None) is not None else "transformer"

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """(b, c, h, w) the latents of images (b, 3, s, s) in [-1, 1]: drawn from their distribution, or its mode."""
        vae = self.pipe.vae
        found = vae.encode(images.to(vae.dtype)).latent_dist
        drawn: Tensor = found.sample() if sample else found.mode()
        return scaled(drawn, vae.config).to(self.backend.dtype)

    @abstractmethod
    def condition(self, shown: Shown) -> Condition:
        """What the denoiser is given beside latents and times."""

    @abstractmethod
    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """(b, c, h, w) what it answers for noised latents (b, c, h, w) at times (b,)."""

    def encoded(self, prompts: Sequence[str], **more: Any) -> list[Tensor]:
        """What the pipeline's `encode_prompt` says of the prompts, stacked; see `rows`."""
        return [torch.cat(parts) for parts in zip(*self.rows(prompts, **more), strict=True)]

    def rows(self, prompts: Sequence[str], **more: Any) -> list[tuple[Tensor, ...]]:
        """What `encode_prompt` says of each prompt: of each by itself, and only once.

        With gradients, and anew each time, where a text encoder learns.
        """
        if self.texts_learn:
            return [self._encode(prompt, more) for prompt in prompts]
        for prompt in dict.fromkeys(prompts):
            if prompt not in self._texts:
                with torch.no_grad():
                    self._texts[prompt] = self._encode(prompt, more)
        return [self._texts[prompt] for prompt in prompts]

    def _encode(self, prompt: str, more: Mapping[str, Any]) -> tuple[Tensor, ...]:
        given = {"prompt": prompt, "device": self.backend.device, "num_images_per_prompt": 1, **more}
        return tuple(part for part in self.pipe.encode_prompt(**given) if part is not None)


def scaled(latents: Tensor, config: Any) -> Tensor:
    """Latents as they are denoised: the way back of the decoder's, by mean and deviation or by factor and shift."""
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    factor = float(getattr(config, "scaling_factor", 1.0))  # Qwen-Image has none
    if mean is not None and std is not None:
        middle, spread = (latents.new_tensor(list(each)).view(1, -1, 1, 1) for each in (mean, std))
        return (latents - middle) * factor / spread
    return (latents - float(getattr(config, "shift_factor", None) or 0.0)) * factor
