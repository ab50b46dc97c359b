"""The adapter for diffusers pipelines that take `image_embeds=` (the StableUnCLIP img2img class)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.devices import pick_device, pick_dtype, quiet, setting
from augforge.models.table import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class Unclip:
    """A diffusion model conditioned on an image embedding (D-dim, as its own encoder makes it) and a prompt."""

    def __init__(self, model: Model, device: str = "auto") -> None:
        import diffusers
        import torch

        quiet()
        self.device = pick_device(device)
        dtype = pick_dtype(self.device)
        try:
            pipe = diffusers.StableUnCLIPImg2ImgPipeline.from_pretrained(
                model.location.removeprefix("hub:"), revision=model.revision, dtype=dtype, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"model {model.name!r} cannot be loaded: {error}", _hint(model)) from error
        pipe.set_progress_bar_config(disable=True)
        self._torch = torch
        self._pipe: Any = pipe.to(self.device)
        self._dtype = dtype
        self.facts = {
            "model": model.facts(),
            "scheduler": type(pipe.scheduler).__name__,
            **setting(self.device, dtype, "diffusers", "transformers"),
        }

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return int(self._pipe.image_encoder.config.image_size)

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded."""
        parts = []
        for start in range(0, len(images), batch):
            part = list(images[start : start + batch])
            padded = part + [part[-1]] * (batch - len(part))
            pixels = self._pipe.feature_extractor(images=padded, return_tensors="pt").pixel_values
            with self._torch.inference_mode():
                embeds = self._pipe.image_encoder(pixels.to(self.device, self._dtype)).image_embeds
            parts.append(embeds[: len(part)].float().cpu().numpy())
        return np.concatenate(parts)

    def generate(
        self,
        prompts: Sequence[str],
        embeds: NDArray[np.float32],
        seeds: Sequence[int],
        *,
        negative: str,
        steps: int,
        guidance: float,
        noise_level: int,
    ) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1], one for each prompt, row of `embeds` (n, D) and seed.

        Each image has a generator of its own on the CPU, so it does not depend on its neighbours in the batch
        nor on the device's own random numbers.
        """
        torch = self._torch
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        with torch.inference_mode():
            images: NDArray[np.float32] = self._pipe(
                prompt=list(prompts),
                negative_prompt=[negative] * len(prompts),
                image_embeds=torch.from_numpy(embeds).to(self.device, self._dtype),
                generator=generators,
                num_inference_steps=steps,
                guidance_scale=guidance,
                noise_level=noise_level,
                output_type="np",
            ).images
        return images


def _hint(model: Model) -> str:
    if model.directory is None:
        return "it comes from a model hub: is the hub in reach, or is the model in the local cache?"
    return f"is {model.directory} a complete StableUnCLIP img2img pipeline?"
