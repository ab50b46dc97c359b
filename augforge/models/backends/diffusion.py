"""What all back-ends that run a diffusers pipeline share: loading, slicing, prompts, decoding."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Backend, Request
from augforge.models.backends.checkpoint import Checkpoint, find_checkpoint
from augforge.models.backends.decoding import Decoder
from augforge.models.backends.loading import load_pipeline, pick_dtype
from augforge.models.backends.loras import Loras
from augforge.models.backends.options import Options
from augforge.models.backends.prompts import Prompts
from augforge.models.backends.settled import settled
from augforge.models.backends.slices import Slices
from augforge.models.backends.tuning import denoiser_of, tune
from augforge.models.devices import pick_device, quiet, setting
from augforge.optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from augforge.models.table import Model

Own = TypeVar("Own", bound=Options)


class Diffusion(Backend):
    """One diffusers pipeline, called through its public arguments.

    Attributes:
        pipeline: name of the diffusers class that loads the checkpoint.
        accepts: class names of checkpoints that it can load; empty where an AutoPipeline decides.
        refuses: class names of checkpoints that would load and must not, and what to do instead.
        slices: how many rows are denoised at once; halves when memory runs out.
    """

    pipeline: ClassVar[str]
    accepts: ClassVar[frozenset[str]] = frozenset()
    refuses: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, model: Model | str, device: str = "auto", dtype: str = "auto", options: Options | None = None
    ) -> None:
        require("diffusers", "torch", "transformers", extra="generate")
        import diffusers

        quiet()
        self._options = options or type(self).options()
        self.device = pick_device(device)
        checkpoint = find_checkpoint(model, self._options)
        self.dtype = pick_dtype(dtype, self.device, checkpoint, self._options)
        loader = getattr(diffusers, self._loader(checkpoint))
        self._refuse(checkpoint, checkpoint.pipeline)
        pipe: Any = load_pipeline(checkpoint, loader, self.dtype, self._options, self.accepts)
        self._refuse(checkpoint, type(pipe).__name__)
        self._pipe = self._completed(pipe, checkpoint).to(self.device)
        self._takes = set(inspect.signature(type(self._pipe).__call__).parameters)
        self._prompts = Prompts(self._pipe)
        self._decoder = Decoder(self._pipe, self._options.decode_batch)
        self._loras = Loras(self._pipe, self.denoiser, self._prompts, self._options)
        self.slices = Slices(1 if self.one_by_one else self._options.micro_batch)
        self.facts = {
            "model": checkpoint.facts,
            "pipeline": type(self._pipe).__name__,
            **tune(self._pipe, self._options),
            "decoder-upcast": self._decoder.upcast,
            "safety-checker": False,
            **self._more_facts(),
            **({"loras": self._loras.facts} if self._loras.facts else {}),
            **setting(self.device, self.dtype, "diffusers", "transformers"),
        }

    def _options_as(self, kind: type[Own]) -> Own:
        """The options, which are of a kind that this back-end has; TypeError where it was given others."""
        if not isinstance(self._options, kind):
            raise TypeError(f"{type(self).__name__} takes {kind.__name__}, not {type(self._options).__name__}")
        return self._options

    def generate(self, request: Request) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1]; see `Backend.generate`."""
        import torch

        self.check(request)
        with torch.no_grad():
            return self._loras.each(request, self._made)

    def _made(self, request: Request) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1], all with the same LoRAs."""
        parts = self.slices.run(len(request), lambda start, stop: self._denoise(request.rows(start, stop)))
        return self._decoder.images(parts)

    def check(self, request: Request) -> None:
        """ModelError where the request asks for what this back-end cannot do."""
        if request.embeds is not None and "embedding" not in self.carries:
            raise ModelError(f"{type(self).__name__} cannot be conditioned on an embedding", "give images or text")
        if request.images is not None and "image" not in self.carries:
            raise ModelError(f"{type(self).__name__} cannot be conditioned on an image", "give its embedding instead")
        if request.controls is not None and "control" not in self.carries:
            raise ModelError(f"{type(self).__name__} cannot be conditioned on a control picture", "use `controlnet`")
        self._check_more_images(request)
        if any(request.negatives) and not self.reads_prompt:
            raise ModelError(f"{type(self).__name__} reads no text, and so no negative prompt", "leave `negative` out")

    def _check_more_images(self, request: Request) -> None:
        if request.negative_embeds is not None and not self.takes_negative_image:
            raise ModelError(f"{type(self).__name__} cannot be guided away from an image", "use ip-adapter for it")
        if request.references is not None and not self.refers_to_several:
            raise ModelError(f"{type(self).__name__} cannot refer to several images", "give one, in `images`")

    @property
    def pipe(self) -> Any:
        """The pipeline itself, for guidance that hooks into it."""
        return self._pipe

    @property
    def denoiser(self) -> Any:
        """The network that is called at every step, for those who hook into it."""
        return denoiser_of(self._pipe)

    def forget_texts(self) -> None:
        """Encode every text anew from now on: the text encoders have changed."""
        self._prompts.forget()

    def _refuse(self, checkpoint: Checkpoint, kind: str) -> None:
        if kind in self.refuses:
            raise ModelError(
                f"model {checkpoint.name!r} is a {kind}, which {type(self).__name__} cannot run", self.refuses[kind]
            )

    def _loader(self, checkpoint: Checkpoint) -> str:
        """The name of the diffusers class that loads this checkpoint."""
        return self.pipeline

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        """The pipeline with what the back-end adds to it."""
        return pipe

    def _more_facts(self) -> dict[str, Any]:
        return {}

    def _pipe_for(self, request: Request) -> Any:
        return self._pipe

    def _condition(self, request: Request) -> dict[str, Any]:
        """The arguments that carry the image condition."""
        return {}

    def _denoise(self, request: Request) -> Any:
        """Latents (n, c, h, w), or images (n, h, w, 3) where the pipeline has to decode itself."""
        import torch

        pipe = self._pipe_for(request)
        arguments = {
            **self._prompts.arguments(request, pipe),
            **self._condition(request),
            **self._size_arguments(pipe, request),
            **settled(inspect.signature(type(pipe).__call__).parameters, request),
            "num_inference_steps": request.steps,
            **({"guidance_scale": request.guidance} if "guidance_scale" in self._takes else {}),
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
            "output_type": self._decoder.output,
        }
        return pipe(**arguments).images

    def _size_arguments(self, pipe: Any, request: Request) -> dict[str, int]:
        takes = inspect.signature(type(pipe).__call__).parameters
        size = request.size or self.native_size
        if not size or not {"width", "height"} <= set(takes):
            return {}
        width, height = size
        area = {"max_area": width * height} if "max_area" in takes else {}  # Flux Kontext, else always a megapixel
        return {"width": width, "height": height, **area}

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(width, height) in px that the model was made for, None where it does not say."""
        side = getattr(self._pipe, "default_sample_size", None) or self.denoiser.config.get("sample_size")
        scale = getattr(self._pipe, "vae_scale_factor", None) or getattr(self._pipe, "movq_scale_factor", None)
        if side is None or scale is None:
            return None
        height, width = (side, side) if isinstance(side, int) else side
        return width * scale, height * scale

    def _tensor(self, array: NDArray[np.float32]) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, self.dtype)


def needs(value: Any, what: str, backend: Backend) -> Any:
    """`value`; ModelError where the request has none."""
    if value is None:
        raise ModelError(f"{type(backend).__name__} needs {what} for every image", f"put {what} into the request")
    return value
