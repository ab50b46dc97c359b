"""Every other companion picture: a second view, a target, a heat map. It may have a size of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from augforge.data import images
from augforge.data.pictures.base import Moves, PictureKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


class Other(PictureKind):
    """A picture (h, w, 3) that goes with the image."""

    name: ClassVar[str] = "picture"
    about: ClassVar[str] = "A picture that goes with the image."
    aligned: ClassVar[bool] = False

    def decoded(self, data: bytes) -> NDArray[np.uint8]:
        """Upright, RGB, 8 bits."""
        import numpy as np

        return np.asarray(images.decode(data))

    def encoded(self, pixels: NDArray[Any], like: bytes | None = None) -> bytes:
        """RGB of 8 bits; ValueError for what is none."""
        return images.encode_mask(pixels)

    def moved(self, pixels: NDArray[np.uint8], moves: Moves) -> NDArray[np.uint8]:
        """Interpolated, as the image."""
        return moves.apply(pixels)

    def scaled(
        self, picture: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
    ) -> Image.Image:
        """Interpolated, as the image; `box` is of the image, and only fits a picture of its size."""
        from PIL.Image import Resampling

        return picture.resize(size, Resampling.BICUBIC, box=box)
