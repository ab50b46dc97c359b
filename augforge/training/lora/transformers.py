"""Transformers: Stable Diffusion 3, Flux.1, Chroma, Z-Image, PixArt and SANA."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from augforge.training.lora.denoisers import Condition, Denoiser, Shown, scaled

GUIDANCE = 3.5
"""What a Flux model whose guidance is an input is told, as its pipeline's default says."""


class StableDiffusion3(Denoiser):
    """Stable Diffusion 3 and 3.5."""

    pipelines: ClassVar[tuple[str, ...]] = ("StableDiffusion3Pipeline",)
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder", "text_encoder_2")

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        more = {"prompt_2": None, "prompt_3": None, "do_classifier_free_guidance": False}
        embeds, pooled = self.encoded(shown.prompts, **more)
        return {"encoder_hidden_states": embeds, "pooled_projections": pooled}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        predicted: Tensor = self.net(hidden_states=noised, timestep=times, return_dict=False, **condition)[0]
        return predicted


class Flux(Denoiser):
    """Flux.1: packed latents, positions, and guidance as an input of the distilled model."""

    pipelines: ClassVar[tuple[str, ...]] = ("FluxPipeline",)
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        embeds, pooled, _ = self.encoded(shown.prompts, prompt_2=None)
        return {"encoder_hidden_states": embeds, "pooled_projections": pooled}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        count, channels, height, width = noised.shape
        dtype, device, scale = noised.dtype, noised.device, self.pipe.vae_scale_factor
        packed = self.net(
            hidden_states=self.pipe._pack_latents(noised, count, channels, height, width),
            timestep=times / 1000,
            txt_ids=torch.zeros(condition["encoder_hidden_states"].shape[1], 3, device=device, dtype=dtype),
            img_ids=self.pipe._prepare_latent_image_ids(count, height // 2, width // 2, device, dtype),
            return_dict=False,
            **self._guided(noised),
            **condition,
        )[0]
        unpacked: Tensor = self.pipe._unpack_latents(packed, height * scale, width * scale, scale)
        return unpacked

    def _guided(self, noised: Tensor) -> Condition:
        is_distilled = self.net.config.guidance_embeds
        return {"guidance": noised.new_full((len(noised),), GUIDANCE, dtype=torch.float32) if is_distilled else None}


class Chroma(Flux):
    """Chroma: Flux.1 that is not distilled, with one text encoder and a mask of texts and patches."""

    pipelines: ClassVar[tuple[str, ...]] = ("ChromaPipeline",)
    text_encoders: ClassVar[tuple[str, ...]] = ()

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; the mask (b, length) tells where texts are."""
        embeds, _, mask = self.encoded(shown.prompts, do_classifier_free_guidance=False)
        return {"encoder_hidden_states": embeds, "attention_mask": mask}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        count, _, height, width = noised.shape
        patches, mask = height * width // 4, condition["attention_mask"]
        whole = self.pipe._prepare_attention_mask(count, patches, noised.dtype, mask)
        return super().predict(noised, times, {**condition, "attention_mask": whole})

    def _guided(self, noised: Tensor) -> Condition:
        return {}


class ZImage(Denoiser):
    """Z-Image: lists of latents and of texts of any length; its time runs the other way, and so does its answer."""

    pipelines: ClassVar[tuple[str, ...]] = ("ZImagePipeline",)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; a list of (length, D)."""
        return {"texts": [text for (text,) in self.rows(shown.prompts)]}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        latents = list(noised.unsqueeze(2))  # each (c, 1, h, w): an image is a video of one frame
        answers = self.net(latents, (1000 - times) / 1000, condition["texts"], return_dict=False)[0]
        return -torch.stack(answers).squeeze(2)

    def _encode(self, prompt: str, more: Mapping[str, Any]) -> tuple[Tensor, ...]:
        found, _ = self.pipe.encode_prompt(prompt, device=self.backend.device, do_classifier_free_guidance=False)
        return (found[0],)


class PixArt(Denoiser):
    """PixArt-Alpha and Sigma: the text has a mask, and the second half of the answer's channels is a variance."""

    pipelines: ClassVar[tuple[str, ...]] = ("PixArtAlphaPipeline", "PixArtSigmaPipeline")

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        embeds, mask = self.encoded(shown.prompts, do_classifier_free_guidance=False)
        return {"encoder_hidden_states": embeds, "encoder_attention_mask": mask}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        sizes = self._sizes(noised)
        predicted: Tensor = self.net(noised, timestep=times, added_cond_kwargs=sizes, return_dict=False, **condition)[0]
        return predicted[:, : noised.shape[1]]

    def _sizes(self, noised: Tensor) -> Condition:
        """What PixArt-Alpha for 1,024 px is told of the size of the images; nothing, of others."""
        if not self.net.use_additional_conditions:
            return {"resolution": None, "aspect_ratio": None}
        height, width = (side * self.pipe.vae_scale_factor for side in noised.shape[-2:])
        told = {"resolution": [height, width], "aspect_ratio": [height / width]}
        return {name: noised.new_tensor([value]).expand(len(noised), -1) for name, value in told.items()}


class Sana(Denoiser):
    """SANA: latents of a deep compression autoencoder, and instructions before the text."""

    pipelines: ClassVar[tuple[str, ...]] = ("SanaPipeline",)

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """As `Denoiser.latents`: the autoencoder has one latent of each image, none is drawn."""
        vae = self.pipe.vae
        return scaled(vae.encode(images.to(vae.dtype)).latent, vae.config).to(self.backend.dtype)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; the instructions are those that the pipeline's call gives if nothing is said."""
        name = "complex_human_instruction"
        instructions = inspect.signature(type(self.pipe).__call__).parameters[name].default
        embeds, mask = self.encoded(shown.prompts, do_classifier_free_guidance=False, **{name: instructions})
        return {"encoder_hidden_states": embeds, "encoder_attention_mask": mask}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        times = times * self.net.config.timestep_scale
        predicted: Tensor = self.net(noised, timestep=times, return_dict=False, **condition)[0]
        return predicted


KINDS = (StableDiffusion3, Flux, Chroma, ZImage, PixArt, Sana)
