"""The adapter for the autoencoder of a diffusion pipeline: images to latents and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from augforge.errors import ModelError
from augforge.models.devices import kind_of, pick_device, quiet, setting
from augforge.models.find import find_model
from augforge.models.hub import check_at_hand
from augforge.models.table import Model
from augforge.models.tensors import to_tensor

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
Latents = NDArray[np.float32]


class Autoencoder:
    """An AutoencoderKL of diffusers: the `vae` of a pipeline, or one by itself.

    Attributes:
        channels: of a latent.
        factor: by how much a side shrinks.
        facts: what provenance records.
    """

    def __init__(self, name: str, device: str = "auto", dtype: str = "auto") -> None:
        quiet()
        row = find_model(name, "autoencoder")
        self.device = pick_device(device)
        net = _load(row)
        config = net.config
        self._dtype = _dtype(dtype, self.device, bool(config.get("force_upcast", False)))
        self._net = net.to(self.device, self._dtype).eval().requires_grad_(False)
        self.channels = int(config.latent_channels)
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        self.facts = {"model": row.facts(), **setting(self.device, self._dtype, "diffusers")}

    def encode(self, images: Sequence[Image.Image]) -> Latents:
        """(n, c, h, w) the means of the latents of n equally large RGB images; sides need not suit `factor`."""
        pixels = torch.stack([to_tensor(np.asarray(image)) for image in images])
        height, width = pixels.shape[-2:]
        padding = (0, -width % self.factor, 0, -height % self.factor)
        padded = torch.nn.functional.pad(pixels, padding, mode="replicate").to(self.device, self._dtype)
        with torch.inference_mode():
            return _numpy(self._net.encode(padded).latent_dist.mode())

    def decode(self, latents: Latents, size: tuple[int, int]) -> NDArray[np.float32]:
        """(n, h, w, 3) images of `size` (height, width), about in [0, 1]: not clipped, so that they may be compared."""
        with torch.inference_mode():
            given = torch.from_numpy(latents).to(self.device, self._dtype)
            decoded = self._net.decode(given).sample[..., : size[0], : size[1]]
        return _numpy(decoded.float().add(1).div(2).permute(0, 2, 3, 1))


def _numpy(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


def _dtype(wanted: str, device: str, overflows: bool) -> torch.dtype:
    """Auto is fp32 on the CPU and on MPS, and on CUDA where the weights say that they overflow; else fp16."""
    if wanted == "auto":
        return torch.float16 if kind_of(device) == "cuda" and not overflows else torch.float32
    if kind_of(device) == "cpu" and wanted == "fp16":
        raise ModelError("fp16 needs a GPU", "use dtype fp32 or bf16")
    return DTYPES[wanted]


def _load(row: Model) -> Any:
    """The network on the CPU, in float32."""
    from diffusers import AutoencoderKL

    check_at_hand(row, "autoencoder")
    place = row.location.removeprefix("hub:")
    inner = row.location.startswith("hub:") or (Path(place) / "vae").is_dir()
    more = {"subfolder": "vae"} if inner else {}
    try:
        return AutoencoderKL.from_pretrained(place, revision=row.revision, use_safetensors=True, **more)
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ModelError(
            f"model {row.name!r} has no AutoencoderKL: {reason}",
            "give a directory of diffusers' AutoencoderKL, or of a pipeline with one as its `vae`",
        ) from error
