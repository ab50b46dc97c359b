"""Text, a CLIP image embedding, and an image to start from: Stable Diffusion 1.5, XL or Kolors with an IP-Adapter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint, digest, fetch, refuse_pickles
from augforge.models.backends.diffusion import needs
from augforge.models.backends.encoded import Encoded
from augforge.models.backends.encoder import HiddenStates, ImageEncoder, load_encoder
from augforge.models.backends.image_to_image import check_strength, fitted, strength_of
from augforge.models.backends.options import Options
from augforge.models.backends.prompts import is_guided

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENCODER = ("config.json", "model.safetensors")
SINGLE = "ImageProjection"
"""What diffusers calls the part of an adapter that reads one vector an image."""
PLUS = "IPAdapterPlusImageProjection"
"""What diffusers calls the part of an adapter of the "plus" kind that reads hidden states."""


@dataclass(frozen=True, slots=True)
class IPAdapterOptions(Options):
    """Options of the IP-Adapter back-end.

    Attributes:
        adapter: a local `.safetensors` file, a directory or a hub id with the adapter's weights.
        adapter_subfolder: of the directory or hub id; in `h94/IP-Adapter` "models" is for 1.5, "sdxl_models" for XL.
        adapter_weights: file name of the weights in that folder.
        adapter_revision: branch, tag or commit of the adapter's hub id.
        image_encoder: a local folder, a hub id after "hub:", or a folder of the adapter's directory or hub id: with a
            "/" from its top, else below the subfolder.
    """

    adapter: str = "hub:h94/IP-Adapter"
    adapter_subfolder: str = "models"
    adapter_weights: str = "ip-adapter_sd15.safetensors"
    adapter_revision: str | None = None
    image_encoder: str = "image_encoder"

    def locations(self) -> tuple[str, ...]:
        """That of the adapter."""
        return (self.adapter,)


class IPAdapter(Encoded):
    """Text-to-image with `ip_adapter_image_embeds`; image-to-image where the request has images too.

    Adapters that read one CLIP `image_embeds` vector an image, and those of the "plus" kind, which read the hidden
    states before the encoder's last layer: T tokens of D numbers, here one vector of T * D. The unconditional half of
    the guidance gets zeros, of the "plus" kind the hidden states of an input of zeros, as the adapters were trained.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"embedding", "image"})
    refers_to_several: ClassVar[bool] = True
    takes_negative_image: ClassVar[bool] = True
    options: ClassVar[type[Options]] = IPAdapterOptions
    pipeline: ClassVar[str] = "AutoPipelineForText2Image"
    accepts: ClassVar[frozenset[str]] = frozenset(
        f"{family}{kind}Pipeline"
        for family in ("StableDiffusion", "StableDiffusionXL", "Kolors")
        for kind in ("", "Img2Img")
    )

    _layout: tuple[int, int] = (1, 1)
    """Halves (two with guidance) and rows of the call that runs."""

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        options = self._options_as(IPAdapterOptions)
        self._weights = find_adapter(options)
        self._encoder_folder = find_encoder(options, self._weights)
        self._encoder = self._load_encoder()
        pipe.register_modules(image_encoder=self._encoder.net, feature_extractor=self._encoder.processor)
        self._attach(pipe)
        return pipe

    def _load_encoder(self) -> ImageEncoder:
        return load_encoder(self._encoder_folder, None, self.dtype, self._options)

    def _attach(self, pipe: Any) -> None:
        """Put the adapter into the pipeline's denoiser."""
        if load_adapter(pipe, self._weights, pipe.unet, frozenset({SINGLE, PLUS})) == PLUS:
            self._encoder = HiddenStates(self._encoder.net, self._encoder.processor)
        pipe.unet.register_forward_pre_hook(self._one_row_an_image, with_kwargs=True)

    def _more_facts(self) -> dict[str, Any]:
        options = self._options_as(IPAdapterOptions)
        return {
            "adapter": {
                "name": options.adapter,
                "weights": self._weights.name,
                "revision": options.adapter_revision,
                "digest": digest(self._weights),
                "encoder-digest": digest(self._encoder_folder),
            }
        }

    def check(self, request: Request) -> None:
        """ModelError where the request has no embeddings, or images with a strength that leaves no step."""
        super().check(request)
        needs(request.embeds, "an embedding", self)
        if request.images is not None:
            check_strength(request)
        if request.negative_embeds is not None and not is_guided(self._pipe, request.guidance):
            raise ModelError("a negative image needs guidance above 1", "raise guidance")

    @cached_property
    def _from_image(self) -> Any:
        import diffusers

        pipe = diffusers.AutoPipelineForImage2Image.from_pipe(self._pipe)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _pipe_for(self, request: Request) -> Any:
        return self._pipe if request.images is None else self._from_image

    def _denoise(self, request: Request) -> Any:
        from augforge.algorithms.guidance import Weights, dual_image_guidance

        if request.negative_embeds is None or (not request.negative_guidance and request.positive_guidance is None):
            return super()._denoise(request)
        weights = Weights(request.guidance, request.negative_guidance, request.positive_guidance)
        with dual_image_guidance(self._pipe, self._images_a_row(request.negative_embeds), weights):
            return super()._denoise(request)

    def _images_a_row(self, embeds: NDArray[np.float32] | None) -> Any:
        """(n, k, D), or (n, k, T, D) of hidden states: k images a row, mostly one."""
        embeds = needs(embeds, "an embedding", self)
        return self._tensor(embeds).reshape(len(embeds), -1, *self._encoder.shape)

    def _condition(self, request: Request) -> dict[str, Any]:
        self._pipe.set_ip_adapter_scale(request.scale)
        condition = self._adapted(request)
        if request.images is not None:
            images = fitted(request.images, request.size or self.native_size)
            condition |= {"image": images, "strength": strength_of(request)}
        return condition

    def _adapted(self, request: Request) -> dict[str, Any]:
        """The arguments that carry the embeddings."""
        guided = is_guided(self._pipe, request.guidance)
        self._layout = (2 if guided else 1, len(request))
        embeds = self._images_a_row(request.embeds)
        return {"ip_adapter_image_embeds": [self._with_nothing(embeds) if guided else embeds]}

    def _with_nothing(self, embeds: Any) -> Any:
        """(2n, ...) what stands for no image in the unconditional half, then the embeddings."""
        import torch

        if not isinstance(self._encoder, HiddenStates):
            return with_zeros(embeds)
        return torch.cat([self._no_image.to(embeds).expand_as(embeds), embeds])

    @cached_property
    def _no_image(self) -> Any:
        return self._encoder.of_zeros().unflatten(1, self._encoder.shape)

    def _one_row_an_image(self, unet: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Undo the pipeline's repetition of the embeddings, on their way into the U-Net.

        `ip_adapter_image_embeds` holds the k images of all prompts of a call: the pipeline repeats what it is given
        once a prompt. Given k embeddings a prompt, (n, k, D) in each half, it makes (n * n, k, D); the first n are
        those that were given.
        """
        halves, rows = self._layout
        added = named["added_cond_kwargs"]
        embeds = [_first(embeds, halves, rows) for embeds in added["image_embeds"]]
        return arguments, {**named, "added_cond_kwargs": {**added, "image_embeds": embeds}}

    def _one_row_in_transformer(self, net: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The same for a transformer, which is given one tensor or a list of them among other arguments."""
        joint = named.get("joint_attention_kwargs") or {}
        embeds = joint.get("ip_adapter_image_embeds")
        if embeds is None:
            return arguments, named
        halves, rows = self._layout
        first = [_first(each, halves, rows) for each in (embeds if isinstance(embeds, list) else [embeds])]
        given = {**joint, "ip_adapter_image_embeds": first if isinstance(embeds, list) else first[0]}
        return arguments, {**named, "joint_attention_kwargs": given}


def with_zeros(embeds: Any) -> Any:
    """(2n, k, D): zeros for the unconditional half, then the embeddings."""
    import torch

    return torch.cat([torch.zeros_like(embeds), embeds])


def _first(embeds: Any, halves: int, rows: int) -> Any:
    """Of each half (n * n, k, D) the first n rows; of an input that was not repeated, everything."""
    if len(embeds) != halves * rows * rows:
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
    if name.startswith("hub:"):
        config, _ = (fetch(f"{name}/{file}", None, options) for file in _ENCODER)
        return config.parent
    given = Path(options.adapter)
    if Path(name).is_dir():
        folder = Path(name)
    elif given.is_file():
        folder = weights.parent / name
    elif given.is_dir():
        folder = given / (name if "/" in name else Path(options.adapter_subfolder, name))
    else:
        inside = name if "/" in name else Path(options.adapter_subfolder, name).as_posix()
        repository = options.adapter.removeprefix("hub:")
        files = [fetch(f"hub:{repository}/{inside}/{file}", options.adapter_revision, options) for file in _ENCODER]
        folder = files[0].parent
    refuse_pickles(folder.parent, [folder.name], options)
    return folder


def load_adapter(pipe: Any, weights: Path, denoiser: Any, kinds: frozenset[str] = frozenset({SINGLE})) -> str:
    """Put the adapter into the pipeline; ModelError where it is of another base model or kind.

    Returns the kind of its projection, one of `kinds`, in the `denoiser`; "" where none is given to look at.
    """
    try:
        pipe.load_ip_adapter(weights.parent, subfolder="", weight_name=weights.name, image_encoder_folder=None)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{weights.name} does not fit this model: {error}",
            "an adapter is for one base model (1.5 or XL, 3, Flux): see adapter-subfolder and adapter-weights",
        ) from error
    if denoiser is None:
        return ""
    kind = type(denoiser.encoder_hid_proj.image_projection_layers[0]).__name__
    if kind not in kinds:
        raise ModelError(
            f"{weights.name} is an adapter of the {kind} kind, which is given something else",
            "use one that reads image embeddings, or for a U-Net hidden states, such as ip-adapter_sd15.safetensors",
        )
    return kind
