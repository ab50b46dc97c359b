"""Text, an image and a mask of what is to be painted anew: whatever AutoPipelineForInpainting accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from augforge.models.backends.base import Request
from augforge.models.backends.diffusion import Diffusion, needs
from augforge.models.backends.image_to_image import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class Inpainting(Diffusion):
    """AutoPipelineForInpainting, through `image` and `mask_image`; what is to be painted begins as noise alone."""

    carries: ClassVar[frozenset[str]] = frozenset({"image", "mask"})
    pipeline: ClassVar[str] = "AutoPipelineForInpainting"

    def check(self, request: Request) -> None:
        """ModelError where the request has no images or no masks."""
        super().check(request)
        needs(request.images, "an image", self)
        needs(request.masks, "a mask", self)

    def _condition(self, request: Request) -> dict[str, Any]:
        size = request.size or self.native_size
        images = fitted(needs(request.images, "an image", self), size)
        masks = [mask_image(mask, images[0].size) for mask in needs(request.masks, "a mask", self)]
        given: dict[str, Any] = {"image": images, "mask_image": masks}
        return {**given, **({"strength": 1.0} if "strength" in self._takes else {})}


def mask_image(mask: NDArray[np.bool_], size: tuple[int, int]) -> Image:
    """A mask (h, w) of what is to be painted as a picture of `size` (width, height): whatever it touches is white."""
    from PIL import Image as Pillow

    whole = Pillow.fromarray(mask.astype(np.float32)).resize(size, Pillow.Resampling.BOX)
    return Pillow.fromarray((np.asarray(whole) > 0).astype(np.uint8) * np.uint8(255))
