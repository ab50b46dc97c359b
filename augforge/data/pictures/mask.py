"""`mask`: what is seen where, as the class of every pixel; or a picture that stands for it, such as an edge map."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, ClassVar

from augforge.data import images
from augforge.data.pictures.base import Box, Moves, PictureKind
from augforge.data.pictures.mask_modes import encode_mask_like

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Mask(PictureKind):
    """A label map (h, w) of 0 to 255, or an image (h, w, 3) used as one; its mode and palette are kept."""

    name: ClassVar[str] = "mask"
    about: ClassVar[str] = "The mask of the image; its pixels say what is seen there."

    def decoded(self, data: bytes) -> NDArray[np.uint8]:
        """Labels as they are stored, never stretched, nor the colours of a palette."""
        return images.decode_condition(data)

    def encoded(self, pixels: NDArray[np.uint8], like: bytes | None = None) -> bytes:
        """With the mode and the palette of `like`."""
        return encode_mask_like(pixels, like)

    def moved(self, pixels: NDArray[np.uint8], moves: Moves) -> NDArray[np.uint8]:
        """Of the nearest pixels, 255 outside; of a picture in a mask's place, whose colours are labels, what the edge
        shows.
        """
        return moves.apply_label(pixels) if pixels.ndim == 2 else moves.apply_label(pixels, None)

    def resized(self, data: bytes, size: tuple[int, int], box: Box) -> bytes:
        """With its palette."""
        from PIL import Image

        with Image.open(io.BytesIO(data)) as stored:
            palette = stored.getpalette("RGB") if stored.mode == "P" else None
            if stored.mode.startswith("I"):  # of 16 bits, which may be more than labels have
                return images.encode_png(self.scaled(stored, size, box))
        cut = self.scaled(Image.fromarray(self.decoded(data)), size, box)
        if palette and cut.mode == "L":
            cut.putpalette(palette)
        return images.encode_png(cut)
