"""Text, CLIP image embeddings, and an image to start from: Flux.1 or Chroma with an IP-Adapter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from augforge.models.backends.base import Request
from augforge.models.backends.image_to_image import BEYOND
from augforge.models.backends.ip_adapter import IPAdapter, IPAdapterOptions, load_adapter
from augforge.models.backends.options import Options


@dataclass(frozen=True, slots=True)
class FluxAdapterOptions(IPAdapterOptions):
    """Options of the IP-Adapter back-end of Flux: the same ones, for the published adapter of Flux.1 dev."""

    adapter: str = "hub:XLabs-AI/flux-ip-adapter"
    adapter_subfolder: str = ""
    adapter_weights: str = "ip_adapter.safetensors"
    image_encoder: str = "hub:openai/clip-vit-large-patch14"


class IPAdapterFlux(IPAdapter):
    """FluxPipeline or ChromaPipeline with `ip_adapter_image_embeds`.

    Left to itself the attention of such a pipeline would give each of n rows the images of all n.

    Where they are guided by a second prediction (Chroma; Flux with a negative prompt) it is given a black image, as the
    pipelines do by themselves.
    """

    takes_negative_image: ClassVar[bool] = False
    options: ClassVar[type[Options]] = FluxAdapterOptions
    accepts: ClassVar[frozenset[str]] = frozenset(
        f"{family}{kind}Pipeline" for family in ("Flux", "Chroma") for kind in ("", "Img2Img")
    )

    def _attach(self, pipe: Any) -> None:
        load_adapter(pipe, self._weights, pipe.transformer)
        pipe.transformer.register_forward_pre_hook(self._one_row_in_transformer, with_kwargs=True)

    @cached_property
    def _from_image(self) -> Any:
        import diffusers

        name = BEYOND.get(type(self._pipe).__name__, "AutoPipelineForImage2Image")
        pipe = getattr(diffusers, name).from_pipe(self._pipe)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @cached_property
    def _black(self) -> Any:
        from PIL import Image

        return self._tensor(self._encoder.embed([Image.new("RGB", (self.encoder_size, self.encoder_size))], 1))

    def _adapted(self, request: Request) -> dict[str, Any]:
        self._layout = (1, len(request))
        embeds = self._images_a_row(request.embeds)
        return {
            "ip_adapter_image_embeds": [embeds],
            "negative_ip_adapter_image_embeds": [self._black[None].expand_as(embeds)],
        }
