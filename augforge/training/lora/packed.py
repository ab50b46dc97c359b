"""Transformers whose latents are rows of patches: Qwen-Image and Flux.2."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from augforge.training.lora.denoisers import Condition, Denoiser, Shown, scaled

GUIDANCE = 4.0
"""What a Flux.2 model whose guidance is an input is told, as its pipeline's default says."""


class QwenImage(Denoiser):
    """Qwen-Image: an autoencoder of videos, packed latents, and texts of any length with a mask."""

    pipelines: ClassVar[tuple[str, ...]] = ("QwenImagePipeline",)

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """As `Denoiser.latents`: an image is a video of one frame."""
        vae = self.pipe.vae
        found = vae.encode(images.to(vae.dtype).unsqueeze(2)).latent_dist
        drawn: Tensor = found.sample() if sample else found.mode()
        return scaled(drawn.squeeze(2), vae.config).to(self.backend.dtype)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; shorter texts are padded, and the mask (b, length) tells where."""
        texts = [text[0] for (text,) in self.rows(shown.prompts)]
        mask = pad_sequence([text.new_ones(len(text), dtype=torch.bool) for text in texts], batch_first=True)
        return {
            "encoder_hidden_states": pad_sequence(texts, batch_first=True),
            "encoder_hidden_states_mask": None if bool(mask.all()) else mask,
        }

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        count, channels, height, width = noised.shape
        scale = self.pipe.vae_scale_factor
        packed = self.net(
            hidden_states=self.pipe._pack_latents(noised, count, channels, height, width),
            timestep=times / 1000,
            img_shapes=[[(1, height // 2, width // 2)]] * count,
            return_dict=False,
            **condition,
        )[0]
        unpacked: Tensor = self.pipe._unpack_latents(packed, height * scale, width * scale, scale)
        return unpacked.squeeze(2)


class Flux2(Denoiser):
    """Flux.2 and Flux.2 klein, also that with a cache: latents of 2 x 2 patches, normalised by running statistics."""

    pipelines: ClassVar[tuple[str, ...]] = ("Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinKVPipeline")
    targets: ClassVar[tuple[str, ...]] = (*Denoiser.targets, "to_qkv_mlp_proj")

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """As `Denoiser.latents`; (b, 4 c, h / 2, w / 2)."""
        vae = self.pipe.vae
        found = vae.encode(images.to(vae.dtype)).latent_dist
        patches = self.pipe._patchify_latents(found.sample() if sample else found.mode())
        middle, variance = (each.view(1, -1, 1, 1) for each in (vae.bn.running_mean, vae.bn.running_var))
        normalised: Tensor = (patches - middle) / torch.sqrt(variance + vae.config.batch_norm_eps)
        return normalised.to(self.backend.dtype)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`; texts are of one length, and have positions."""
        embeds, places = self.encoded(shown.prompts)
        return {"encoder_hidden_states": embeds, "txt_ids": places}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        told = noised.new_full((len(noised),), GUIDANCE) if self.net.config.guidance_embeds else None
        packed: Tensor = self.net(
            hidden_states=self.pipe._pack_latents(noised),
            timestep=times / 1000,
            guidance=told,
            img_ids=self.pipe._prepare_latent_ids(noised).to(noised.device),
            return_dict=False,
            **condition,
        )[0]
        return packed.transpose(1, 2).reshape(noised.shape)


KINDS = (QwenImage, Flux2)
