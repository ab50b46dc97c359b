"""The kinds of image files that are read, told by their first bytes, and the packages that some of them need."""

from __future__ import annotations

import io
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from augforge.errors import BadImage
from augforge.optional import EXTRAS, install_command, installed

if TYPE_CHECKING:
    from PIL import ImageFile

FORMATS = (
    "PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "BLP", "CUR", "DDS", "ICNS", "ICO",
    "MSP", "PCX", "PSD", "QOI", "SGI", "SUN", "XBM", "XPM",
)  # fmt: skip
"""Pillow's names of what is read; its JPEG reads MPO, too, and TGA has no first bytes, so `is_tga` decides.

Left out are EPS, PDF and WMF, which would start other programs or need Windows; BUFR, GRIB, HDF5 and MPEG, which Pillow
names but cannot read; and those with weak first bytes or none, that would take other files for images (FITS, FLI, FTEX,
GBR, IM, IMT, IPTC, MCIDAS, PCD, PIXAR, SPIDER, XVTHUMB, DCX).
"""
PLUGINS = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}
"""The formats that Pillow reads with another package."""
PATTERNS = (
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp"),
    (re.compile(rb"....ftyp(?=.*avi[fs])", re.DOTALL), "avif"),
    (re.compile(rb"....ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL), "heic"),
    (re.compile(rb"P[1-7fF]\s"), "ppm"),
    (re.compile(rb"\n[\x00\x02\x03\x04\x05]\x01"), "pcx"),
    (re.compile(rb"\s*#define\s+\S+_width"), "xbm"),
)
TGA_DEPTHS = {1: (8,), 9: (8,), 2: (16, 24, 32), 10: (16, 24, 32), 3: (8, 16), 11: (8, 16)}
"""The bits a pixel that each kind of Targa picture may have."""
MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"), (b"\x00\x00\x00\x0cjP", "jp2"), (b"\xff\x4f\xff\x51", "j2k"), (b"DDS ", "dds"),
    (b"qoif", "qoi"), (b"8BPS", "psd"), (b"icns", "icns"), (b"\x00\x00\x01\x00", "ico"), (b"\x00\x00\x02\x00", "cur"),
    (b"\x01\xda", "sgi"), (b"\x59\xa6\x6a\x95", "ras"), (b"\xff\x0a", "jxl"), (b"\x00\x00\x00\x0cJXL ", "jxl"),
    (b"BLP1", "blp"), (b"BLP2", "blp"), (b"DanM", "msp"), (b"LinS", "msp"), (b"/* XPM */", "xpm"),
)  # fmt: skip
HEAD = 64
"""Bytes that `kind_of` looks at."""


def kind_of(head: bytes) -> str:
    """The usual suffix of a file that begins with `head`, such as "jpg"; "" if it is no image."""
    if is_tga(head):  # before cursors, which begin alike but count their pictures where it has nothing
        return "tga"
    patterned = (suffix for pattern, suffix in PATTERNS if pattern.match(head))
    return next(patterned, "") or next((suffix for magic, suffix in MAGIC if head.startswith(magic)), "")


def is_tga(head: bytes) -> bool:
    """Whether the first 18 bytes are the header of a Targa picture, which has no first bytes of its own."""
    if len(head) < 18 or head[2] not in TGA_DEPTHS:
        return False
    mapped = head[2] in (1, 9)
    sized = any(head[12:14]) and any(head[14:16])
    plain = head[1] == mapped and not head[17] & 0xC0 and (mapped or not any(head[3:8]))
    return sized and plain and head[16] in TGA_DEPTHS[head[2]]


def opened(data: bytes) -> ImageFile.ImageFile:
    """The image in encoded bytes, its header read.

    Raises:
        BadImage: a package that it needs is missing. What Pillow raises comes through.
    """
    from PIL import Image

    kind = kind_of(data[:HEAD])
    if kind == "tga":
        return Image.open(io.BytesIO(data), formats=("TGA",))
    if kind in ("heic", "jxl"):
        name = "HEIF" if kind == "heic" else "JXL"
        _register(name)
        return Image.open(io.BytesIO(data), formats=(name,))
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _register(name: str) -> None:
    package = PLUGINS[name]
    if not installed(package):
        raise BadImage(f"{name} needs {package}, which is not installed: {install_command(EXTRAS[package])}")
    _load(package)


@cache
def _load(package: str) -> None:
    plugin = import_module(package)  # pillow_jxl registers itself
    if package == "pillow_heif":
        plugin.register_heif_opener()
