"""Bad and odd image files, and what has to become of each."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

EMPTY_CLASS = "nothing here"


@dataclass(frozen=True)
class Expected:
    """Whether a file is kept, and a part of its note (kept) or of its reason (dropped)."""

    kept: bool
    says: str = ""


def write_bad_inputs(root: Path) -> dict[str, Expected]:
    """Write a class-folder tree of bad and odd inputs; returns what to expect of each path below `root`."""
    files = {**_bad_files(), **_odd_files()}
    for path, (data, _) in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / EMPTY_CLASS).mkdir()
    (root / "bad" / "broken-link.png").symlink_to(root / "bad" / "gone.png")
    links = {"bad/broken-link.png": Expected(False, "missing file")}
    return {path: expected for path, (_, expected) in files.items()} | links


def _bad_files() -> dict[str, tuple[bytes, Expected]]:
    jpeg, png = encoded(colours(96), "JPEG"), encoded(colours(96), "PNG")
    return {
        "bad/zero.jpg": (b"", Expected(False, "empty file (0 bytes)")),
        "bad/cut.jpg": (jpeg[: len(jpeg) // 2], Expected(False, "truncated")),
        "bad/cut.png": (png[: len(png) // 2], Expected(False, "truncated")),
        "bad/only-a-header.jpg": (jpeg[:4], Expected(False, "header")),
        "bad/text.jpg": (b"<html>404 not found</html>", Expected(False, "not an image")),
        "bad/script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", Expected(False, "not an image")),
        "bad/one-pixel.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), Expected(False, "1x1 px, too small")),
        "bad/line.png": (encoded(Image.new("RGB", (64, 1)), "PNG"), Expected(False, "64x1 px, too small")),
        "bad/bomb.png": (png_header(50_000, 50_000), Expected(False, "decompression bomb")),
        "bad/half-bomb.png": (png_header(10_000, 10_000), Expected(False, "decompression bomb: 10000x10000 px")),
    }


def _odd_files() -> dict[str, tuple[bytes, Expected]]:
    picture = colours(48)
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    animated = {"save_all": True, "append_images": frames[1:]}
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "odd/cmyk.jpg": (encoded(picture.convert("CMYK"), "JPEG", quality=95), Expected(True, "CMYK")),
        "odd/deep.png": (encoded(ramp_16(), "PNG"), Expected(True, "16-bit")),
        "odd/palette.png": (
            encoded(picture.quantize(16), "PNG", transparency=0),
            Expected(True, "palette, read as RGB; transparent, read as on white"),
        ),
        "odd/animated.gif": (encoded(frames[0], "GIF", **animated), Expected(True, "animated: first of 3 frames")),
        "odd/animated.webp": (encoded(frames[0], "WEBP", **animated), Expected(True, "animated: first of 3 frames")),
        "odd/turned.jpg": (
            encoded(picture.resize((48, 32)), "JPEG", exif=turned),
            Expected(True, "EXIF orientation, read as upright"),
        ),
        "odd/alpha.png": (encoded(see_through(), "PNG"), Expected(True, "transparent, read as on white")),
        "odd/opaque.png": (encoded(picture.convert("RGBA"), "PNG"), Expected(True)),
        "odd/grey.png": (encoded(picture.convert("L"), "PNG"), Expected(True)),
        "naïve 猫 #1\n/смех ñ.png": (encoded(colours(20, 1), "PNG"), Expected(True)),
        "one/same-name.png": (encoded(colours(20, 2), "PNG"), Expected(True)),
        "two/same-name.png": (encoded(colours(20, 3), "PNG"), Expected(True)),
        "two/copy a.png": (encoded(colours(20, 4), "PNG"), Expected(True)),
        "two/copy b.PNG": (encoded(colours(20, 4), "PNG"), Expected(True)),
    }


def colours(side: int, seed: int = 0) -> Image.Image:
    """A smooth RGB picture (side, side) in which no two corners are alike."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def ramp_16() -> Image.Image:
    """A 16-bit grey picture (256, 16) with the values 0, 257, …, 65535 from left to right."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint16) * 257, (16, 1)))


def see_through() -> Image.Image:
    """A red picture (16, 16) of RGBA: its left half opaque, its right half transparent."""
    pixels = np.zeros((16, 16, 4), dtype=np.uint8)
    pixels[..., 0] = 255
    pixels[:, :8, 3] = 255
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image in a file format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header claims any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
