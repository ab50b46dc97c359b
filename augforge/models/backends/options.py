"""The options that every diffusion back-end has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from augforge.models.table import Model


@dataclass(frozen=True, slots=True)
class Options:
    """How a checkpoint is found, read and run. What changes the images is recorded in the back-end's facts.

    Attributes:
        revision: branch, tag or commit of a hub id; None is the table's.
        variant: of the weights' files, for example "fp16" for `model.fp16.safetensors`.
        allow_pickle: read `.bin`, `.ckpt` and `.pt` too; such a file can run any code when it is read.
        config: for a single file: directory or hub id with the components' configurations; None asks diffusers.
        micro_batch: at most so many images are denoised at once; None is the whole request.
        decode_batch: at most so many latents are decoded at once; None is 4.
        scheduler: name of a diffusers class in place of the checkpoint's, for example "LCMScheduler";
            "EulerDiscreteScheduler:trailing" also sets the spacing of the time steps.
        attention: a backend of diffusers' `set_attention_backend`, for example "native" or "flash".
        cache: a step cache of diffusers: "first-block", "first-block:0.08" (threshold) or "pyramid". It
            decides by the mean over a batch, so that neighbours in the batch then matter.
        loras: rows of LoRAs that are loaded beside the weights, each with its scale.
        compile: compile the denoiser with torch.compile; the first batch then takes minutes.
    """

    revision: str | None = None
    variant: str | None = None
    allow_pickle: bool = False
    config: str | None = None
    micro_batch: int | None = None
    decode_batch: int | None = None
    scheduler: str | None = None
    attention: str | None = None
    cache: str | None = None
    compile: bool = False
    loras: tuple[tuple[Model, float], ...] = ()

    def locations(self) -> tuple[str, ...]:
        """Where more weights lie, beside those of the model itself."""
        return ()
