"""Text and a CLIP image embedding: Stable Diffusion unCLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.encoder import ImageEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class Unclip(Diffusion):
    """StableUnCLIPImg2ImgPipeline, through `image_embeds`."""

    carries: ClassVar[frozenset[str]] = frozenset({"embedding"})
    pipeline: ClassVar[str] = "StableUnCLIPImg2ImgPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"StableUnCLIPImg2ImgPipeline"})

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        self._encoder = ImageEncoder(pipe.image_encoder, pipe.feature_extractor)
        return pipe

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return self._encoder.size

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded."""
        return self._encoder.embed(images, batch)

    def _condition(self, request: Request) -> dict[str, Any]:
        embeds = needs(request.embeds, "an embedding", self)
        return {"image_embeds": self._tensor(embeds), "noise_level": request.noise_level}
