"""Text and a picture of the layout: a ControlNet beside Stable Diffusion 1.5, XL, 3 or 3.5, Flux, Qwen or Z-Image."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from augforge.errors import ModelError
from augforge.models.backends.base import Control, Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.control import (
    ControlOptions,
    control_facts,
    control_options,
    find_control,
    load_control,
)
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.image_to_image import check_strength, fitted, strength_of
from augforge.models.backends.options import Options

FAMILIES = {
    "StableDiffusionPipeline": "ControlNetModel",
    "StableDiffusionXLPipeline": "ControlNetModel",
    "StableDiffusion3Pipeline": "SD3ControlNetModel",
    "FluxPipeline": "FluxControlNetModel",
    "QwenImagePipeline": "QwenImageControlNetModel",
    "ZImagePipeline": "ZImageControlNetModel",
}
"""The pipeline of a model from text alone, and the class of the ControlNets that are made for it."""


class ControlNet(Diffusion):
    """The ControlNet pipeline that diffusers has for the model; image-to-image where the request has images too.

    Of SD 3, Flux and Qwen the control picture goes through the autoencoder. diffusers draws its latents at random, for
    SD 3 not even from the generators of the rows; here they are the mean of the distribution, so that a picture
    follows from its seed, and its noise is that of the model without a ControlNet.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"control"})
    options: ClassVar[type[Options]] = ControlOptions
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        import diffusers

        own = control_options(self._options)
        family = type(pipe).__name__
        if family not in FAMILIES:
            raise ModelError(f"{checkpoint.name!r} is a {family}, for which there is no ControlNet", _models())
        path = find_control(own)
        net = load_control(path, FAMILIES[family], (FAMILIES[family],), self.dtype, own)
        _check_fit(net, pipe, own.control)
        self._control_facts = control_facts(own, path, net)
        completed = diffusers.AutoPipelineForText2Image.from_pipe(pipe, controlnet=net)
        completed.set_progress_bar_config(disable=True)
        return completed

    def _more_facts(self) -> dict[str, Any]:
        return {**self._control_facts, **({"control-latents": "mean"} if self._encodes_control else {})}

    @property
    def _encodes_control(self) -> bool:
        """Whether the control picture goes through the autoencoder, with noise."""
        return hasattr(self._pipe, "transformer")

    @property
    def ways(self) -> tuple[frozenset[str], ...]:
        """A control, and beside it an image where diffusers has such a pipeline for the model."""
        return (self.carries, self.carries | {"image"}) if self._from_image else (self.carries,)

    @cached_property
    def _from_image(self) -> Any:
        """The pipeline that starts from an image, None where there is none."""
        import diffusers

        try:
            pipe = diffusers.AutoPipelineForImage2Image.from_pipe(self._pipe, controlnet=self._pipe.controlnet)
        except ValueError:  # of the AutoPipeline: it knows none
            return None
        if "control_image" not in inspect.signature(type(pipe).__call__).parameters:
            return None
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def check(self, request: Request) -> None:
        """ModelError where the request has no control pictures, or what the pipeline cannot be given."""
        if request.images is not None and self._from_image is not None:
            check_strength(request)
            super().check(replace(request, images=None))
        else:
            super().check(request)
        needs(request.controls, "a control picture", self)
        if request.control != Control(request.control.scale) and "control_guidance_end" not in self._takes:
            raise ModelError(
                f"{type(self._pipe).__name__} follows the control at every step", "leave control-start and -end out"
            )

    def _pipe_for(self, request: Request) -> Any:
        return self._pipe if request.images is None else self._from_image

    def _condition(self, request: Request) -> dict[str, Any]:
        size = request.size or self.native_size
        controls = fitted(needs(request.controls, "a control picture", self), size)
        takes = inspect.signature(type(self._pipe_for(request)).__call__).parameters
        given: dict[str, Any] = {"control_image" if "control_image" in takes else "image": controls}
        if request.images is not None:
            given |= {"image": fitted(request.images, size or controls[0].size), "strength": strength_of(request)}
        if "control_mode" in takes:
            given["control_mode"] = control_options(self._options).control_mode
        return {**given, **{name: value for name, value in _span(request.control).items() if name in takes}}

    def _denoise(self, request: Request) -> Any:
        with _means(self._pipe.vae) if self._encodes_control else nullcontext():
            return super()._denoise(request)


def _span(control: Control) -> dict[str, float]:
    """How strongly and when, as arguments; diffusers refuses a span that is empty."""
    scale, start, end = float(control.scale), float(control.start), float(control.end)
    if end <= start:
        scale, start, end = 0.0, 0.0, 1.0
    return {
        "controlnet_conditioning_scale": scale,
        "control_guidance_start": start,
        "control_guidance_end": end,
    }


def _models() -> str:
    return "use a model of " + ", ".join(name.removesuffix("Pipeline") for name in FAMILIES)


def _check_fit(net: Any, pipe: Any, name: str) -> None:
    """ModelError for a ControlNet of another size of Stable Diffusion: 1.5, 2 and XL have one class."""
    unet = getattr(pipe, "unet", None)
    wanted = getattr(getattr(unet, "config", None), "cross_attention_dim", None)
    got = net.config.get("cross_attention_dim")
    if wanted is not None and got != wanted:
        raise ModelError(
            f"the ControlNet {name!r} reads text of {got} numbers a word, this model {wanted}",
            "give one for this model: those of Stable Diffusion 1.5, 2 and XL differ",
        )


@contextmanager
def _means(vae: Any) -> Iterator[None]:
    """Within, what the autoencoder encodes has the mean of its distribution for its sample."""
    encode = vae.encode

    def mean(*args: Any, **settings: Any) -> Any:
        found = encode(*args, **settings)
        found.latent_dist.sample = lambda generator=None: found.latent_dist.mode()
        return found

    vae.encode = mean
    try:
        yield
    finally:
        del vae.encode
