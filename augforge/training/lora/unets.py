"""U-Nets: Stable Diffusion, XL and unCLIP, and the decoder of Kandinsky 2.2."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from augforge.training.lora.denoisers import Condition, Denoiser, Shown


class StableDiffusion(Denoiser):
    """Stable Diffusion 1.5 and 2: one text."""

    pipelines: ClassVar[tuple[str, ...]] = ("StableDiffusionPipeline",)
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        return {"encoder_hidden_states": self.encoded(shown.prompts, do_classifier_free_guidance=False)[0]}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        predicted: Tensor = self.net(noised, times, return_dict=False, **condition)[0]
        return predicted


class StableDiffusionXL(StableDiffusion):
    """Stable Diffusion XL: two texts, and the size of the image before and after it was cropped."""

    pipelines: ClassVar[tuple[str, ...]] = ("StableDiffusionXLPipeline",)
    text_encoders: ClassVar[tuple[str, ...]] = ("text_encoder", "text_encoder_2")

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        embeds, pooled = self.encoded(shown.prompts, do_classifier_free_guidance=False)
        return {"encoder_hidden_states": embeds, "added_cond_kwargs": {"text_embeds": pooled}}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`."""
        height, width = (side * self.pipe.vae_scale_factor for side in noised.shape[-2:])
        sizes = noised.new_tensor([[height, width, 0, 0, height, width]]).expand(len(noised), -1)
        added = {**condition["added_cond_kwargs"], "time_ids": sizes}
        return super().predict(noised, times, {**condition, "added_cond_kwargs": added})


class Unclip(StableDiffusion):
    """Stable Diffusion unCLIP: a text, and the embedding of the image itself with the least noise."""

    pipelines: ClassVar[tuple[str, ...]] = ("StableUnCLIPImg2ImgPipeline",)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        embeds = _embeds(self, shown)
        with torch.no_grad():  # the normalizer makes its weights anew, as such that learn, whenever it is moved
            level = self.pipe.noise_image_embeddings(embeds, noise_level=0, noise=torch.zeros_like(embeds))
        return {**super().condition(shown), "class_labels": level}


class Kandinsky(Denoiser):
    """The decoder of Kandinsky 2.2: the embedding of the image itself, and no text."""

    pipelines: ClassVar[tuple[str, ...]] = ("KandinskyV22Pipeline",)
    targets: ClassVar[tuple[str, ...]] = ("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj")

    def latents(self, images: Tensor, sample: bool) -> Tensor:
        """As `Denoiser.latents`: MoVQ has one, neither scaled nor drawn."""
        latents: Tensor = self.pipe.movq.encode(images.to(self.pipe.movq.dtype)).latents
        return latents.to(self.backend.dtype)

    def condition(self, shown: Shown) -> Condition:
        """As `Denoiser.condition`."""
        return {"encoder_hidden_states": None, "added_cond_kwargs": {"image_embeds": _embeds(self, shown)}}

    def predict(self, noised: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """As `Denoiser.predict`: the second half of the channels is a variance."""
        predicted: Tensor = self.net(noised, times, return_dict=False, **condition)[0]
        return predicted[:, : noised.shape[1]]


def _embeds(denoiser: Denoiser, shown: Shown) -> Tensor:
    """(b, D) the embeddings of the images, as the back-end itself makes them."""
    backend = denoiser.backend
    with torch.no_grad():
        found = backend.embed_once(shown.keys, shown.images)
    return torch.from_numpy(found).to(backend.device, backend.dtype)


KINDS = (StableDiffusion, StableDiffusionXL, Unclip, Kandinsky)
