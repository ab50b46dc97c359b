"""Every kind of image file that is read, each written by Pillow, or by hand where Pillow only reads it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augforge.data import formats, images
from augforge.data.formats import FORMATS, PLUGINS, is_tga, kind_of
from augforge.errors import BadImage
from augforge.io.writing import suffix_of

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8))
SQUARE = PICTURE.crop((0, 0, 16, 16))
EXACT = ("PNG", "BMP", "DIB", "TIFF", "PPM", "QOI", "SGI", "TGA", "DDS", "PCX", "PSD", "SUN", "ICO", "CUR", "XPM")


def written(name, picture=PICTURE, **options):
    """The bytes of a picture in one of Pillow's formats."""
    out = io.BytesIO()
    picture.save(out, name, **options)
    return out.getvalue()


def psd():
    """A flat Photoshop file: header, no colour table, no resources, no layers, raw channels."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, PICTURE.height, PICTURE.width, 8, 3)
    return head + bytes(12) + bytes(2) + np.asarray(PICTURE).transpose(2, 0, 1).tobytes()


def sun():
    """A Sun raster of 24 bits, in the order of red, green and blue (type 3)."""
    data = PICTURE.tobytes()
    return struct.pack(">8I", 0x59A66A95, PICTURE.width, PICTURE.height, 24, len(data), 3, 0, 0) + data


def cursor():
    """A cursor: an icon with a bitmap inside, of another type."""
    icon = bytearray(written("ICO", SQUARE, sizes=[(16, 16)], bitmap_format="bmp"))
    icon[2] = 2
    return bytes(icon)


def xpm():
    """A picture in C, of two colours."""
    return b'/* XPM */\nstatic char *x[] = {\n"4 2 2 1",\n"a c #ff0000",\n"b c #0000ff",\n"abab",\n"baba"\n};\n'


BLACK_AND_WHITE = PICTURE.convert("1")
FILES = {
    **{n: written(n) for n in ("PNG", "BMP", "DIB", "TIFF", "PPM", "QOI", "SGI", "TGA", "DDS", "PCX", "JPEG", "WEBP")},
    **{name: written(name) for name in ("GIF", "JPEG2000", "AVIF")},
    "BLP": written("BLP", PICTURE.convert("P")),
    "ICO": written("ICO", SQUARE, sizes=[(16, 16)]),
    "ICNS": written("ICNS", PICTURE.resize((64, 64))),
    "MSP": written("MSP", BLACK_AND_WHITE),
    "XBM": written("XBM", BLACK_AND_WHITE),
    "PSD": psd(),
    "SUN": sun(),
    "CUR": cursor(),
    "XPM": xpm(),
}


def test_every_format_is_tried():
    assert FILES.keys() == {*FORMATS, "TGA"}
    assert not {"EPS", "PDF", "WMF", "PSEUDO"} & {*FORMATS}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_format_is_read(name):
    data = FILES[name]
    facts = images.inspect(data)
    pixels = np.asarray(images.decode(data))
    assert pixels.shape == (facts.height, facts.width, 3)
    if name in EXACT and name not in ("XPM", "DIB"):
        expected = SQUARE if name in ("ICO", "CUR") else PICTURE
        assert (pixels == np.asarray(expected)).all()
    assert kind_of(data[: formats.HEAD]) or name == "DIB"
    assert suffix_of(data) == kind_of(data[: formats.HEAD]) or name == "DIB"


def test_xpm_has_its_colours():
    assert np.asarray(images.decode(xpm()))[0, :2].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_several_pictures_in_one_jpeg_are_said():
    data = written("MPO", PICTURE, save_all=True, append_images=[PICTURE])
    assert images.inspect(data).note == "first of 2 pictures"


@pytest.mark.parametrize("options", [{}, {"compression": "tga_rle"}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA"])
def test_targa_in_every_mode(mode, options):
    data = written("TGA", PICTURE.convert(mode), **options)
    assert is_tga(data) and images.inspect(data).width == 32


@given(st.binary(max_size=80))
def test_no_text_is_taken_for_an_image(data):
    text = bytes(32 + byte % 90 for byte in data)
    assert kind_of(text) in ("", "bmp", "ppm") and not is_tga(text)


@given(st.binary(max_size=600))
def test_any_bytes_are_an_image_or_a_bad_one(data):
    for head in (
        b"",
        FILES["TGA"][:18],
        b"icns\0\0",
        b"\x01\xda\0\1",
        b"8BPS",
        b"BLP2",
        b"qoif",
        b"DDS ",
        b"\x0a\5\1\x08",
    ):
        try:
            images.inspect(head + data)
        except BadImage as error:
            assert error.message


def test_heif_is_read_with_its_package():
    plugin = pytest.importorskip("pillow_heif")
    plugin.register_heif_opener()
    data = written("HEIF", PICTURE.resize((64, 64)), quality=100)
    assert kind_of(data[: formats.HEAD]) == "heic" and images.inspect(data).width == 64


def test_jpeg_xl_is_read_with_its_package():
    pytest.importorskip("pillow_jxl")
    data = written("JXL", PICTURE, lossless=True)
    assert (np.asarray(images.decode(data)) == np.asarray(PICTURE)).all() and suffix_of(data) == "jxl"


@pytest.mark.parametrize(
    ("data", "name", "extra"),
    [(b"\xff\x0a" + bytes(40), "JXL", "jxl"), (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "HEIF", "heif")],
)
def test_without_its_package_the_reason_says_what_to_install(monkeypatch, data, name, extra):
    monkeypatch.setattr(formats, "installed", lambda package: False)
    with pytest.raises(BadImage) as raised:
        images.inspect(data)
    said = f"{name} needs {PLUGINS[name]}, which is not installed: pip install 'augforge[{extra}]'"
    assert raised.value.message == said


def test_what_would_start_a_program_is_no_image():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for data in (eps, b"%PDF-1.7\n", b"\xd7\xcd\xc6\x9a" + bytes(40)):
        with pytest.raises(BadImage, match="not an image"):
            images.inspect(data)
