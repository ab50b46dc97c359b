"""Diffusion back-ends: one interface for every way of conditioning an image on an image.

    unclip             text and a CLIP image embedding        StableUnCLIPImg2ImgPipeline
    kandinsky-2.2      a CLIP image embedding, no text        KandinskyV22Pipeline
    ip-adapter         text, an embedding, and an image       Stable Diffusion 1.5, XL or Kolors with an IP-Adapter
    ip-adapter-flux    the same                               Flux.1 or Chroma with an IP-Adapter
    ip-adapter-sd3     text, features of an image, an image   Stable Diffusion 3 with an IP-Adapter
    redux              text and an image's tokens             Flux.1, given what FluxPriorReduxPipeline makes of images
    image-to-image     text and an image                      whatever AutoPipelineForImage2Image takes a batch of
    references         text and an image to refer to          Flux.2, Flux.2 klein, Qwen-Image-Edit-Plus
    text-to-image      text alone                             whatever AutoPipelineForText2Image accepts
    class-conditional  a class, no text                       DiTPipeline
    variation          an image, no text                      StableDiffusionImageVariationPipeline
    inpainting         text, an image and a mask              whatever AutoPipelineForInpainting accepts
    controlnet         text and a picture of the layout       the ControlNet pipeline of the model's family
    t2i-adapter        text and a picture of the layout       Stable Diffusion or XL with a T2I-Adapter
    unconditional      an image and a mask, no text           DDPMPipeline, filled in by RePaint

A back-end lives in one file and has one line in `BACKENDS`. Importing this package loads neither torch nor diffusers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from augforge.errors import ModelError, did_you_mean
from augforge.models.backends.base import Backend, Request
from augforge.models.hub import check_at_hand
from augforge.models.tasks import task_of

if TYPE_CHECKING:
    from augforge.models.table import Model

__all__ = ["BACKENDS", "Backend", "Request", "backend_class", "open_backend"]

BACKENDS: dict[str, str] = {
    "unclip": "augforge.models.backends.unclip:Unclip",
    "kandinsky-2.2": "augforge.models.backends.kandinsky22:Kandinsky22",
    "ip-adapter": "augforge.models.backends.ip_adapter:IPAdapter",
    "ip-adapter-flux": "augforge.models.backends.ip_adapter_flux:IPAdapterFlux",
    "ip-adapter-sd3": "augforge.models.backends.ip_adapter_sd3:IPAdapterSD3",
    "redux": "augforge.models.backends.redux:Redux",
    "image-to-image": "augforge.models.backends.image_to_image:ImageToImage",
    "references": "augforge.models.backends.references:References",
    "text-to-image": "augforge.models.backends.text_to_image:TextToImage",
    "class-conditional": "augforge.models.backends.class_conditional:ClassConditional",
    "variation": "augforge.models.backends.variation:Variation",
    "inpainting": "augforge.models.backends.inpainting:Inpainting",
    "controlnet": "augforge.models.backends.controlnet:ControlNet",
    "t2i-adapter": "augforge.models.backends.t2i_adapter:T2IAdapter",
    "unconditional": "augforge.models.backends.unconditional:Unconditional",
}


def backend_class(name: str) -> type[Backend]:
    """The class of the back-end called `name`; its `carries` can be read before any weights are loaded.

    Raises:
        ModelError: there is no such back-end.
    """
    try:
        module, _, attribute = BACKENDS[name].partition(":")
    except KeyError:
        raise ModelError(f"there is no back-end called {name!r}", did_you_mean(name, list(BACKENDS))) from None
    found: type[Backend] = getattr(import_module(module), attribute)
    return found


def open_backend(name: str, model: Model | str, device: str = "auto", dtype: str = "auto", **options: Any) -> Backend:
    """Load `model` into the back-end called `name`, and see with two made-up rows that it keeps them apart.

    Args:
        name: one of `BACKENDS`.
        model: a row of the table, or a directory, a `.safetensors` file, or a hub id with or without "hub:".
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "auto", "fp32", "fp16" or "bf16". Auto is fp32 on the CPU; on CUDA what the checkpoint declares.
        options: the fields of the back-end's own `Options` (see `loading.Options` for those that all have).

    Raises:
        ModelError: no such back-end or option, a checkpoint of another kind, pickled or missing weights, or one
            whose pictures depend on their neighbours in a batch.
    """
    from augforge.models.backends.rows import check_rows

    found = backend_class(name)
    read = found.read_options(options)
    if not isinstance(model, str):
        check_at_hand(model, task_of(name), *read.locations(), revision=read.revision)
    backend = found(model, device, dtype, read)
    check_rows(backend)
    return backend
