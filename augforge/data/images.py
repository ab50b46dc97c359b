"""One image: from encoded bytes to RGB pixels and back. Anything wrong with a file raises `BadImage`."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from augforge.data import formats
from augforge.errors import BadImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, ImageFile

MAX_PIXELS = 89_478_485
"""Pillow's limit, 256 MiB of RGB: a file that unpacks to more is taken for a decompression bomb."""
MIN_SIDE = 2
ORIENTATION = 0x0112
SEVERAL = {
    "GIF": "animated: first of {} frames",
    "WEBP": "animated: first of {} frames",
    "PNG": "animated: first of {} frames",
    "AVIF": "animated: first of {} frames",
    "TIFF": "first of {} pages",
    "MPO": "first of {} pictures",
}
MASK_MODES = ("L", "P", "1", "I", "I;16", "I;16B")
"""Pillow's modes of one channel with whole numbers."""
SIXTEEN_BIT = "16-bit, read as 8-bit"
TURNED = "EXIF orientation, read as upright"
PNG_LEVEL = 1
"""Measured on a 512 px photo: level 1 takes 30 ms and 471 kB, level 6 67 ms and 443 kB, level 9 284 ms and 439 kB."""
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """Size in px after EXIF rotation, and what was special about the file ("" when nothing was)."""

    width: int
    height: int
    note: str = ""


def inspect(data: bytes) -> Facts:
    """Decode an image fully; return its size and what was special about it.

    Raises:
        BadImage: the bytes are empty, not an image, truncated, a decompression bomb, too small, or cannot be decoded.
    """
    return decoded_and_inspected(data)[1]


def decoded_and_inspected(data: bytes) -> tuple[Image.Image, Facts]:
    """What `decode` and `inspect` return, decoded once; BadImage as these."""
    image, note = _decoded(data)
    return image, Facts(image.width, image.height, note)


def decode(data: bytes) -> Image.Image:
    """The first frame as an upright 8-bit RGB image.

    CMYK is converted, 16 bits are scaled by 1/257 (not clipped), transparency is composited on white. BadImage as
    `inspect`.
    """
    return _decoded(data)[0]


def encode_png(image: Image.Image) -> bytes:
    """PNG bytes of an image; the same pixels give the same bytes, whatever metadata the image carries."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=PNG_LEVEL, icc_profile=None, exif=b"")
    return out.getvalue()


def decode_mask(data: bytes) -> NDArray[np.uint8]:
    """The label map (h, w) in a single-channel PNG: the class of every pixel, as it was stored.

    Grey values, indices into a palette (never its colours) and black and white as 0 and 1 are labels; so are 16-bit
    values up to 255. BadImage as `inspect`, and where a label cannot be told.
    """
    with _opened(data) as image:
        if image.format != "PNG" or image.mode not in MASK_MODES:
            raise BadImage(f"a mask is a single-channel PNG, not {image.format} of mode {image.mode}")
        image.load()
        upright, _ = _upright(image, image)
        return _labels(upright, data[24])


def _labels(image: Image.Image, bits: int) -> NDArray[np.uint8]:
    """(h, w) what the pixels of a mask were stored as. Pillow stretches grey of 2 and 4 bits to 0..255."""
    import numpy as np

    values = np.asarray(image)
    if image.mode == "L" and bits in (2, 4):
        values = values // (255 // (2**bits - 1))
    if image.mode.startswith("I") and (values.min() < 0 or values.max() > 255):
        raise BadImage(f"a mask has labels of 0 to 255, not {values.max()}")
    return values.astype(np.uint8)


def decode_condition(data: bytes) -> NDArray[np.uint8]:
    """The mask of an image: a label map (h, w), or an image (h, w, 3) used as one. BadImage as `inspect`."""
    import numpy as np

    with _opened(data) as image:
        labels = image.format == "PNG" and image.mode in MASK_MODES
    return decode_mask(data) if labels else np.asarray(decode(data))


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a label map (h, w), 8-bit grey, or of an image (h, w, 3); equal arrays give equal bytes."""
    from PIL import Image

    if mask.dtype != "uint8" or (mask.ndim != 2 and mask.shape[2:] != (3,)):
        raise ValueError(f"a mask is (h, w) or (h, w, 3) of uint8, not {mask.shape} of {mask.dtype}")
    return encode_png(Image.fromarray(mask))


def digest(data: bytes) -> str:
    """SHA-256 of the bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def _decoded(data: bytes) -> tuple[Image.Image, str]:
    with _opened(data) as image:
        notes = [_frames_note(image, data), *_header_notes(image, data)]
        image.load()
        picture, more = _as_rgb(image, SIXTEEN_BIT in notes)
        upright, rotated = _upright(image, picture)
        upright.info = {}
        return upright, "; ".join(filter(None, [*notes, *more, rotated]))


@contextmanager
def _opened(data: bytes) -> Iterator[ImageFile.ImageFile]:
    """The image in `data`, its header read; whatever goes wrong with it in the block becomes a BadImage."""
    if not data:
        raise BadImage("empty file (0 bytes)")
    _silence_pillow()
    try:
        image = formats.opened(data)
        _check_size(*image.size)
        yield image
    except BadImage:
        raise
    except Exception as error:
        raise BadImage(_reason(error, data)) from error


def _silence_pillow() -> None:
    """Ignore Pillow's warnings: what matters of them is said in notes and reasons.

    `warnings.catch_warnings` is no way here: it is not safe in threads.
    """
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImage(f"decompression bomb: {width}x{height} px, over {MAX_PIXELS:,} px")
    if min(width, height) < MIN_SIDE:
        raise BadImage(f"{width}x{height} px, too small")


def _reason(error: Exception, data: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return f"decompression bomb: over {MAX_PIXELS:,} px"
    if isinstance(error, UnidentifiedImageError):
        return "damaged: its header cannot be read" if formats.kind_of(data[: formats.HEAD]) else "not an image"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if re.search("truncated|broken data stream|unexpected end|not enough", text, re.IGNORECASE):
        return "truncated"
    return f"cannot be decoded: {text}"


def _frames_note(image: ImageFile.ImageFile, data: bytes) -> str:
    """What to say of frames beyond the first. GIF and TIFF look through the file to count, so on a second handle."""
    said = SEVERAL.get(image.format or "")
    if said is None:
        return ""
    counted = formats.opened(data) if image.format in ("GIF", "TIFF") else image
    frames = getattr(counted, "n_frames", 1)
    return said.format(frames) if frames > 1 else ""


def _header_notes(image: ImageFile.ImageFile, data: bytes) -> list[str]:
    """What Pillow handles on its own while it loads: it narrows 16-bit colour, and turns TIFF pictures upright."""
    deep_png = image.format == "PNG" and data[24] == 16
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    deep = deep_png or 16 in tags.get(258, ()) or image.mode.startswith("I;16")
    return [SIXTEEN_BIT if deep else "", TURNED if tags.get(ORIENTATION, 1) in range(2, 9) else ""]


def _as_rgb(image: Image.Image, deep: bool) -> tuple[Image.Image, list[str]]:
    """An 8-bit RGB copy of a loaded image of any mode, and notes."""
    if image.mode.startswith("I"):
        return _from_integers(image), [] if deep else [SIXTEEN_BIT]
    if image.mode == "F":
        return _from_floats(image), ["float, read as 8-bit"]
    if image.mode == "CMYK":
        return image.convert("RGB"), ["CMYK, read as RGB"]
    if deep:
        image.info.pop("transparency", None)  # a 16-bit colour, which no longer matches the narrowed pixels
    notes = ["palette, read as RGB"] if image.mode in ("P", "PA") else []
    if not image.has_transparency_data:
        return image.convert("RGB"), notes
    rgb, transparent = _on_white(image)
    return rgb, [*notes, "transparent, read as on white"] if transparent else notes


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    from PIL import Image

    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    canvas = Image.new("RGBA", rgba.size, "white")
    canvas.alpha_composite(rgba)
    least, _ = rgba.getchannel("A").getextrema()
    return canvas.convert("RGB"), least != 255


def _from_integers(image: Image.Image) -> Image.Image:
    """(h, w) integers of 0..65535 as grey: v / 257, rounded."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("32-bit pixels outside 0..65535")
    grey = (values + 128) // 257
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _from_floats(image: Image.Image) -> Image.Image:
    """(h, w) floats of 0..1 as grey; other ranges have no agreed meaning."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise BadImage("float pixels outside 0..1")
    return Image.fromarray(np.rint(values * 255).astype(np.uint8)).convert("RGB")


def _upright(image: Image.Image, picture: Image.Image) -> tuple[Image.Image, str]:
    """`picture` turned as the EXIF orientation of `image` says; damaged EXIF data say nothing."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(ORIENTATION, 1))
    except Exception:
        turn = None
    return (picture, "") if turn is None else (picture.transpose(turn), TURNED)


def degenerate(picture: NDArray[np.float32] | NDArray[np.uint8], what: str = "the model returned") -> str:
    """Why an image (h, w, 3), uint8 or in [0, 1], is broken: NaN or infinite values, or one colour; else ""."""
    import numpy as np

    if picture.dtype == np.uint8:
        constant = (picture[0] == picture[0, 0]).all() and (picture == picture[0, 0]).all()
        return f"{what} a constant picture" if constant else ""
    if not np.isfinite(picture).all():
        return f"{what} NaN or infinite pixels"
    spread = picture.max(axis=(0, 1)) - picture.min(axis=(0, 1))
    return f"{what} a constant picture" if float(spread.max()) < 1 / 255 else ""
