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
HEIF = re.compile(rb"....ftyp(heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1|heif)", re.DOTALL)
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
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and b"avi" in head[8:]:
        return "avif"
    if HEIF.match(head):
        return "heic"
    if re.match(rb"P[1-7fF]\s", head):
        return "ppm"
    if head[:1] == b"\x0a" and head[1:2] in (b"\x00", b"\x02", b"\x03", b"\x04", b"\x05") and head[2:3] == b"\x01":
        return "pcx"
    if re.match(rb"\s*#define\s+\S+_width", head):
        return "xbm"
    if is_tga(head):  # before cursors, which begin alike but count their pictures where it has nothing
        return "tga"
    return next((suffix for magic, suffix in MAGIC if head.startswith(magic)), "")


def is_tga(head: bytes) -> bool:
    """Whether the first 18 bytes are the header of a Targa picture, which has no first bytes of its own."""
    if len(head) < 18:
        return False
    colours, kind, depth, descriptor = head[1], head[2], head[16], head[17]
    width, height = int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little")
    mapped = kind in (1, 9)
    if colours != mapped or kind not in (1, 2, 3, 9, 10, 11) or not width or not height or descriptor & 0xC0:
        return False
    if not mapped and any(head[3:8]):
        return False
    return depth in ((8,) if mapped else (8, 16) if kind in (3, 11) else (16, 24, 32))


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
