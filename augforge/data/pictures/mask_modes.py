"""How a mask is stored: a made one gets the mode and the palette of the one that it was made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from augforge.data.images import encode_mask, encode_png

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

COLOURS = 256


def encode_mask_like(mask: NDArray[np.uint8], like: bytes | None) -> bytes:
    """PNG bytes of a label map (h, w) in the mode of the mask `like` (PNG bytes), with its palette if it has one.

    Labels that `like` has no colour for, such as 255 where a warp shows nothing, become greys of their own level.
    Black and white is kept while there are no other labels than 0 and 1, 16 bits as they are; all else, and what is no
    label map, is encoded as `encode_mask` does.
    """
    from PIL import Image

    if like is None or mask.ndim != 2 or mask.dtype != "uint8":
        return encode_mask(mask)
    with Image.open(io.BytesIO(like), formats=["PNG"]) as first:
        first.load()
        mode = first.mode
        if mode == "P":
            return encode_png(_with_palette(mask, first))
    if mode == "1" and mask.max(initial=0) <= 1:
        return encode_png(Image.fromarray(mask.astype(bool)))
    if mode.startswith("I"):
        return encode_png(Image.fromarray(mask.astype("uint16")))
    return encode_mask(mask)


def _with_palette(mask: NDArray[np.uint8], first: Image.Image) -> Image.Image:
    """The labels (h, w) as indices into the palette of `first`, transparency included."""
    from PIL import Image

    colours = first.getpalette("RGB") or []
    needed = int(mask.max(initial=0)) + 1
    greys = [level for level in range(len(colours) // 3, needed) for _ in range(3)]
    made = Image.fromarray(mask).copy()
    made.putpalette([*colours, *greys][: 3 * COLOURS])
    if "transparency" in first.info:
        made.info["transparency"] = first.info["transparency"]
    return made
