"""Text and a CLIP image embedding: Stable Diffusion unCLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import needs
from augforge.models.backends.encoded import Encoded
from augforge.models.backends.encoder import ImageEncoder

if TYPE_CHECKING:
    pass


class Unclip(Encoded):
    """StableUnCLIPImg2ImgPipeline, through `image_embeds`."""

    carries: ClassVar[frozenset[str]] = frozenset({"embedding"})
    pipeline: ClassVar[str] = "StableUnCLIPImg2ImgPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"StableUnCLIPImg2ImgPipeline"})

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        self._encoder = ImageEncoder(pipe.image_encoder, pipe.feature_extractor)
        return pipe

    def _condition(self, request: Request) -> dict[str, Any]:
        embeds = needs(request.embeds, "an embedding", self)
        return {"image_embeds": self._tensor(embeds), "noise_level": request.noise_level}
