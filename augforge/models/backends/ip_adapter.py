"""Text, a CLIP image embedding, and an image to start from: Stable Diffusion 1.5 or XL with an IP-Adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint, digest, fetch, refuse_pickles
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.encoder import load_encoder
from augforge.models.backends.image_to_image import check_strength, fitted, strength_of
from augforge.models.backends.options import Options
from augforge.models.backends.prompts import is_guided

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_ENCODER = ("config.json", "model.safetensors")


@dataclass(frozen=True, slots=True)
class IPAdapterOptions(Options):
    """Options of the IP-Adapter back-end.

    Attributes:
        adapter: a local `.safetensors` file, a directory or a hub id with the adapter's weights.
        adapter_subfolder: of the directory or hub id; in `h94/IP-Adapter` "models" is for 1.5, "sdxl_models" for XL.
        adapter_weights: file name of the weights in that folder.
        adapter_revision: branch, tag or commit of the adapter's hub id.
        image_encoder: a local folder, or one of the adapter's directory or hub id: with a "/" from its top, else below
            the subfolder.
    """

    adapter: str = "hub:h94/IP-Adapter"
    adapter_subfolder: str = "models"
    adapter_weights: str = "ip-adapter_sd15.safetensors"
    adapter_revision: str | None = None
    image_encoder: str = "image_encoder"

    def locations(self) -> tuple[str, ...]:
        """That of the adapter."""
        return (self.adapter,)


class IPAdapter(Diffusion):
    """Text-to-image with `ip_adapter_image_embeds`; image-to-image where the request has images too.

    Adapters that read one CLIP `image_embeds` vector an image; those of the "plus" kind read hidden states, and are
    refused. The unconditional half of the guidance gets zeros, as the adapters were trained.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"embedding", "image"})
    options: ClassVar[type[Options]] = IPAdapterOptions
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"
    accepts: ClassVar[frozenset[str]] = frozenset(
        f"StableDiffusion{kind}Pipeline" for kind in ("", "Img2Img", "XL", "XLImg2Img")
    )

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        options = self._own_options
        self._weights = find_adapter(options)
        self._encoder_folder = find_encoder(options, self._weights)
        self._encoder = load_encoder(self._encoder_folder, None, self.dtype, options)
        pipe.register_modules(image_encoder=self._encoder.net, feature_extractor=self._encoder.processor)
        load_adapter(pipe, self._weights)
        self._layout = (1, 1)  # halves (two with guidance) and rows of the call that runs
        pipe.unet.encoder_hid_proj.register_forward_pre_hook(self._one_row_an_image)
        return pipe

    def _more_facts(self) -> dict[str, Any]:
        options = self._own_options
        return {
            "adapter": {
                "name": options.adapter,
                "weights": self._weights.name,
                "revision": options.adapter_revision,
                "digest": digest(self._weights),
                "encoder-digest": digest(self._encoder_folder),
            }
        }

    @property
    def _own_options(self) -> IPAdapterOptions:
        if not isinstance(self._options, IPAdapterOptions):
            raise TypeError(f"{type(self).__name__} takes IPAdapterOptions, not {type(self._options).__name__}")
        return self._options

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return self._encoder.size

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded."""
        return self._encoder.embed(images, batch)

    def check(self, request: Request) -> None:
        """ModelError where the request has no embeddings, or images with a strength that leaves no step."""
        super().check(request)
        needs(request.embeds, "an embedding", self)
        if request.images is not None:
            check_strength(request)

    @cached_property
    def _from_image(self) -> Any:
        import diffusers

        pipe = diffusers.AutoPipelineForImage2Image.from_pipe(self._pipe)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _pipe_for(self, request: Request) -> Any:
        return self._pipe if request.images is None else self._from_image

    def _condition(self, request: Request) -> dict[str, Any]:
        self._pipe.set_ip_adapter_scale(request.scale)
        guided = is_guided(self._pipe, request.guidance)
        self._layout = (2 if guided else 1, len(request))
        embeds = self._tensor(needs(request.embeds, "an embedding", self))[:, None]  # (n, 1, D): one image a row
        if guided:
            embeds = _with_negative(embeds)
        condition: dict[str, Any] = {"ip_adapter_image_embeds": [embeds]}
        if request.images is not None:
            images = fitted(request.images, request.size or self.native_size)
            condition |= {"image": images, "strength": strength_of(request)}
        return condition

    def _one_row_an_image(self, module: Any, arguments: tuple[list[Any]]) -> tuple[list[Any]]:
        """Undo the pipeline's repetition of the embeddings, on their way into the projection.

        `ip_adapter_image_embeds` holds one image for all prompts of a call: the pipeline repeats what it is given
        once a prompt. Given one embedding a prompt, (n, 1, D) in each half, it makes (n * n, 1, D); the first n are
        those that were given.
        """
        halves, rows = self._layout
        return ([_first(embeds, halves, rows) for embeds in arguments[0]],)


def _with_negative(embeds: Any) -> Any:
    """(2n, 1, D): zeros for the unconditional half, then the embeddings."""
    import torch

    return torch.cat([torch.zeros_like(embeds), embeds])


def _first(embeds: Any, halves: int, rows: int) -> Any:
    """Of each half (n * n, 1, D) the first n rows; of an input that was not repeated, everything."""
    if len(embeds) == halves * rows:
        return embeds
    return embeds.unflatten(0, (halves, rows, rows))[:, 0].flatten(0, 1)


def find_adapter(options: IPAdapterOptions) -> Path:
    """The local file with the adapter's weights; ModelError where it cannot be had or is pickled."""
    given = Path(options.adapter)
    if given.is_file():
        refuse_pickles(given, [], options)
        return given.resolve()
    inside = Path(options.adapter_subfolder, options.adapter_weights)
    if given.is_dir():
        refuse_pickles(inside, [], options)
        if not (given / inside).is_file():
            raise ModelError(f"there is no {inside} in {given}", "see adapter-subfolder and adapter-weights")
        return (given / inside).resolve()
    repository = options.adapter.removeprefix("hub:")
    return fetch(f"hub:{repository}/{inside.as_posix()}", options.adapter_revision, options)


def find_encoder(options: IPAdapterOptions, weights: Path) -> Path:
    """The local folder of the adapter's image encoder; ModelError where it cannot be had or is pickled."""
    name = options.image_encoder
    given = Path(options.adapter)
    if Path(name).is_dir():
        folder = Path(name)
    elif given.is_file():
        folder = weights.parent / name
    elif given.is_dir():
        folder = given / (name if "/" in name else Path(options.adapter_subfolder, name))
    else:
        inside = name if "/" in name else f"{options.adapter_subfolder}/{name}"
        repository = options.adapter.removeprefix("hub:")
        files = [fetch(f"hub:{repository}/{inside}/{file}", options.adapter_revision, options) for file in _ENCODER]
        folder = files[0].parent
    refuse_pickles(folder.parent, [folder.name], options)
    return folder


def load_adapter(pipe: Any, weights: Path) -> None:
    """Put the adapter into the pipeline's U-Net; ModelError where it is of another base model or kind."""
    try:
        pipe.load_ip_adapter(weights.parent, subfolder="", weight_name=weights.name, image_encoder_folder=None)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{weights.name} does not fit this model: {error}",
            "an adapter is for one base model, 1.5 or XL: see adapter-subfolder and adapter-weights",
        ) from error
    layer = pipe.unet.encoder_hid_proj.image_projection_layers[0]
    if type(layer).__name__ != "ImageProjection":
        raise ModelError(
            f"{weights.name} is an adapter of the {type(layer).__name__} kind, which reads hidden states",
            "use one that reads a single image embedding, for example ip-adapter_sd15.safetensors",
        )
