"""Back-ends that are conditioned on what an image encoder makes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from augforge.models.backends.diffusion import Diffusion
from augforge.models.backends.encoder import ImageEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


class Encoded(Diffusion):
    """A pipeline with an image encoder, which `_completed` sets."""

    _encoder: ImageEncoder

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at."""
        return self._encoder.size

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded."""
        return self._encoder.embed(images, batch)
