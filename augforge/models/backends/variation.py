"""An image and no text: Lambda Labs' image variations, or an unCLIP model that is given no prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.models.backends.base import EMBEDDED, Request
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.encoder import ImageEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNCLIP = "StableUnCLIPImg2ImgPipeline"


class Variation(Diffusion):
    """StableDiffusionImageVariationPipeline, through `image`; StableUnCLIPImg2ImgPipeline, with an empty prompt.

    The back-end takes no embedding, so images can be mixed in pixel space only.
    diffusers 0.42 still has both among the pipelines that are maintained.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"image"})
    reads_prompt: ClassVar[bool] = False
    pipeline: ClassVar[str] = "StableDiffusionImageVariationPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"StableDiffusionImageVariationPipeline", UNCLIP})

    def _loader(self, checkpoint: Checkpoint) -> str:
        return UNCLIP if checkpoint.pipeline == UNCLIP else self.pipeline

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return int(self._pipe.image_encoder.config.image_size)

    def generate(self, request: Request) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1]; prompts are not read. See `Backend.generate`."""
        return super().generate(replace(request, prompts=[""] * len(request)))

    def _condition(self, request: Request) -> dict[str, Any]:
        images = [image.convert("RGB") for image in needs(request.images, "an image", self)]
        if type(self._pipe).__name__ != UNCLIP:
            return {"image": images}
        encoder = ImageEncoder(self._pipe.image_encoder, self._pipe.feature_extractor)
        return {"image_embeds": self._tensor(encoder.embed(images, EMBEDDED)), "noise_level": request.noise_level}
