"""Transformers that are told a class and no text: DiT."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from augforge.errors import ModelError
from augforge.models.backends.diffusion import Diffusion
from augforge.training.lora.denoisers import Condition, Denoiser, Shown


class DiT(Denoiser):
    """DiT: the number of a class that it was trained on, and images of its own size only."""

    pipelines: ClassVar[tuple[str, ...]] = ("DiTPipeline",)

    def __init__(self, backend: Diffusion) -> None:
        super().__init__(backend)
        self.backend: Any = backend
        for part in self.net.modules():
            if hasattr(part, "dropout_prob"):
                part.dropout_prob = 0.0  # of a class, in training mode: generation is guided by the model's own nothing

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """As `Denoiser.latents`; ModelError for another size than the model's."""
        side, _ = self.backend.native_size
        if images.shape[-1] != side:
            raise ModelError(f"this model makes images of {side}x{side} px only", f"give size: {side}")
        return super().latents(images, sample)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; ModelError for a class that the model does not know."""
        return {"class_labels": torch.tensor(self.backend.numbers(shown.labels), device=self.backend.device)}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`: the second half of the channels is a variance."""
        predicted: Tensor = self.net(noised, timestep=times, return_dict=False, **condition)[0]
        return predicted[:, : noised.shape[1]]


KINDS = (DiT,)
