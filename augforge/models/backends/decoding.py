"""From latents to images, apart from denoising, in slices of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.models.backends.slices import Slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECODED_AT_ONCE = 4
_FAMILY = re.compile("StableDiffusionXL|Kolors")


class Decoder:
    """Decodes a pipeline's latents.

    Where the latents are plain (b, c, h, w) ones of an AutoencoderKL or of Kandinsky's MoVQ, the pipeline is asked for
    latents and they are decoded here. Packed or normalised latents (Flux and others) are left to their pipeline.

    Attributes:
        output: the `output_type` to ask the pipeline for: "latent" or "np".
        slices: how many latents are decoded at once.
    """

    def __init__(self, pipe: Any, batch: int | None) -> None:
        self._net: Any = getattr(pipe, "vae", None) or getattr(pipe, "movq", None)
        self.slices = Slices(batch or DECODED_AT_ONCE)
        self.output = "latent" if _is_plain(self._net, pipe) else "np"
        self.upcast = self.output == "latent" and _needs_upcast(self._net, pipe)
        if self.output == "np" and self._net is not None and hasattr(self._net, "enable_slicing"):
            self._net.enable_slicing()

    def images(self, parts: list[Any]) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1] of latents (b, c, h, w), or of the images that the pipeline made itself."""
        if self.output == "np":
            return np.concatenate([np.asarray(part, np.float32) for part in parts])
        import torch

        latents = torch.cat(parts)
        stored = next(self._net.parameters()).dtype
        if self.upcast:
            self._net.to(torch.float32)
            latents = latents.float()
        try:
            decoded = self.slices.run(len(latents), lambda start, stop: self._decode(latents[start:stop]))
        finally:
            if self.upcast:
                self._net.to(stored)
        return np.concatenate(decoded)

    def _decode(self, latents: Any) -> NDArray[np.float32]:
        if type(self._net).__name__ == "VQModel":
            pixels = self._net.decode(latents, force_not_quantize=True, return_dict=False)[0]
        else:
            pixels = self._net.decode(self._unscaled(latents), return_dict=False)[0]
        images: NDArray[np.float32] = (pixels.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return images

    def _unscaled(self, latents: Any) -> Any:
        """Undo the scaling that a pipeline denoises in: mean and std per channel, or a factor and a shift."""
        config = self._net.config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is not None and std is not None:
            return latents * _per_channel(std, latents) / config.scaling_factor + _per_channel(mean, latents)
        return latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)


def _per_channel(values: Iterable[float], latents: Any) -> Any:
    return latents.new_tensor(list(values)).view(1, -1, 1, 1)


def _is_plain(net: Any, pipe: Any) -> bool:
    if type(pipe).__name__ == "DiTPipeline":  # it always decodes
        return False
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    channels = getattr(getattr(denoiser, "config", None), "in_channels", None)
    if type(net).__name__ == "VQModel":
        return type(pipe).__name__.startswith("KandinskyV22")
    return type(net).__name__ == "AutoencoderKL" and net.config.latent_channels == channels


def _needs_upcast(net: Any, pipe: Any) -> bool:
    """Half precision, and a decoder that overflows in it: diffusers upcasts in the Stable Diffusion XL family alone.

    (`force_upcast` is also the default of every decoder whose configuration does not speak of it.)
    """
    import torch

    half = next(net.parameters()).dtype in {torch.float16, torch.bfloat16}
    return half and bool(getattr(net.config, "force_upcast", False)) and _FAMILY.match(type(pipe).__name__) is not None
