"""An image and no text: Stable Diffusion fine-tuned on CLIP image embeddings (Lambda Labs' image variations)."""

from __future__ import annotations

from typing import Any, ClassVar

from augforge.models.backends.base import Request
from augforge.models.backends.diffusion import Diffusion, needs


class Variation(Diffusion):
    """StableDiffusionImageVariationPipeline, through `image`.

    The pipeline encodes the image itself and takes no embedding, so images can be mixed in pixel space only.
    diffusers 0.42 still has it among the pipelines that are maintained.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"image"})
    reads_prompt: ClassVar[bool] = False
    pipeline: ClassVar[str] = "StableDiffusionImageVariationPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"StableDiffusionImageVariationPipeline"})

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return int(self._pipe.image_encoder.config.image_size)

    def _condition(self, request: Request) -> dict[str, Any]:
        images = needs(request.images, "an image", self)
        return {"image": [image.convert("RGB") for image in images]}
