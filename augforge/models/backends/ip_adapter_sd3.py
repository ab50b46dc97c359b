"""Text, the features of images, and an image to start from: Stable Diffusion 3 with an IP-Adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.encoder import ImageEncoder
from augforge.models.backends.ip_adapter import IPAdapter, IPAdapterOptions, load_adapter, with_zeros
from augforge.models.backends.options import Options
from augforge.models.backends.prompts import is_guided


@dataclass(frozen=True, slots=True)
class SD3AdapterOptions(IPAdapterOptions):
    """Options of the IP-Adapter back-end of Stable Diffusion 3: the same, for the published adapter of 3.5 Large."""

    adapter: str = "hub:InstantX/SD3.5-Large-IP-Adapter"
    adapter_subfolder: str = ""
    adapter_weights: str = "ip-adapter_diffusers.safetensors"
    image_encoder: str = "hub:google/siglip-so400m-patch14-384"


class Features(ImageEncoder):
    """SigLIP's features of an image before its last layer, (T, D) as one vector of T * D."""

    @property
    def width(self) -> int:
        """T * D, patches of an image times features of a patch."""
        config = self.net.config
        return int((config.image_size // config.patch_size) ** 2 * config.hidden_size)

    def _encode(self, pixels: Any) -> Any:
        found = self.net(pixels.to(self.net.device, self.net.dtype), output_hidden_states=True)
        return found.hidden_states[-2].flatten(1)


class IPAdapterSD3(IPAdapter):
    """StableDiffusion3Pipeline with `ip_adapter_image_embeds`: the features of one image of a row, or of several."""

    takes_negative_image: ClassVar[bool] = False
    options: ClassVar[type[Options]] = SD3AdapterOptions
    accepts: ClassVar[frozenset[str]] = frozenset(f"StableDiffusion3{kind}Pipeline" for kind in ("", "Img2Img"))

    def _load_encoder(self) -> ImageEncoder:
        from transformers import SiglipImageProcessor, SiglipVisionModel

        kept = None if self._options.allow_pickle else True
        try:
            net = SiglipVisionModel.from_pretrained(self._encoder_folder, dtype=self.dtype, use_safetensors=kept)
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"no image encoder can be loaded from {self._encoder_folder}: {error}",
                "give the SigLIP encoder that the adapter was trained with",
            ) from error
        side = net.config.image_size
        return Features(net.eval(), SiglipImageProcessor(size={"height": side, "width": side}))

    def _attach(self, pipe: Any) -> None:
        load_adapter(pipe, self._weights, None)
        pipe.transformer.register_forward_pre_hook(self._one_row_in_transformer, with_kwargs=True)

    def _adapted(self, request: Request) -> dict[str, Any]:
        guided = is_guided(self._pipe, request.guidance)
        self._layout = (2 if guided else 1, len(request))
        embeds = self._images_a_row(request.embeds).flatten(1)
        embeds = embeds.unflatten(1, (-1, self._encoder.net.config.hidden_size))
        return {"ip_adapter_image_embeds": with_zeros(embeds) if guided else embeds}
