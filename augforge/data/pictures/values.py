"""Kinds whose pixels are one whole number each."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from augforge.data import images
from augforge.data.pictures.base import Moves, PictureKind
from augforge.errors import BadImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 65_535


class Values(PictureKind):
    """A map (h, w) of whole numbers from 0 to 65,535, in a PNG of 8 or 16 bits; 0 is unknown, as outside of it."""

    def decoded(self, data: bytes) -> NDArray[np.uint16]:
        """The numbers as they are stored; of a palette its indices."""
        import numpy as np
        from PIL import Image

        with Image.open(io.BytesIO(data)) as stored:
            stored.load()
            single = stored.mode in ("1", "L", "P") or stored.mode.startswith("I")
            values = np.asarray(stored) if single else np.zeros(0)
        if not single or values.min(initial=0) < 0 or values.max(initial=0) > MOST:
            raise BadImage(f"a {self.name} picture has one whole number for each pixel, from 0 to {MOST:,}")
        return values.astype(np.uint16)

    def encoded(self, pixels: NDArray[Any], like: bytes | None = None) -> bytes:
        """With 16 bits, unless that of the first parent has 8 and they are enough.

        Raises:
            ValueError: they are no whole numbers (h, w) from 0 to 65,535, which is a defect of what made them.
        """
        import numpy as np
        from PIL import Image

        if (
            pixels.ndim != 2
            or not np.issubdtype(pixels.dtype, np.integer)
            or not 0 <= pixels.min() <= pixels.max() <= MOST
        ):
            raise ValueError(f"{self.name}: {pixels.dtype} {pixels.shape} are no whole numbers from 0 to {MOST}")
        narrow = like is not None and _bits(like) <= 8 and pixels.max() <= 255
        return images.encode_png(Image.fromarray(pixels.astype(np.uint8 if narrow else np.uint16)))

    def moved(self, pixels: NDArray[np.uint16], moves: Moves) -> NDArray[np.uint16]:
        """Of the nearest pixels, 0 outside: between two things there is no third."""
        return moves.apply_label(pixels, void=0)


def _bits(data: bytes) -> int:
    """Bits of a number in a PNG; 8 of other formats."""
    return data[24] if data[:4] == b"\x89PNG" else 8
