"""Decoding is right to the pixel, and whatever is wrong with a file comes out as a BadImage with a plain reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from augforge.data import images
from augforge.errors import BadImage
from tests.bad_inputs import colours, encoded, png_header, ramp_16, see_through, write_bad_inputs


def pixels(data: bytes) -> np.ndarray:
    image = images.decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.fixture
def bad_inputs(tmp_path):
    return tmp_path, write_bad_inputs(tmp_path)


def test_every_bad_and_odd_input_is_kept_or_dropped_as_it_should_be(bad_inputs):
    root, expected = bad_inputs
    for path, what in expected.items():
        if not (root / path).exists():
            continue
        data = (root / path).read_bytes()
        if what.kept:
            facts = images.inspect(data)
            assert (what.says in facts.note) if what.says else facts.note == "", path
            assert images.decode(data).size == (facts.width, facts.height)
            continue
        for look in (images.inspect, images.decode):
            with pytest.raises(BadImage) as caught:
                look(data)
            assert what.says in caught.value.message, path


def test_no_warning_of_pillow_comes_through_even_where_warnings_are_errors(bad_inputs):
    root, expected = bad_inputs
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("error")
        for path, what in expected.items():
            if (root / path).exists() and what.kept:
                images.inspect((root / path).read_bytes())
        with pytest.raises(BadImage, match="decompression bomb"):
            images.inspect(png_header(10_000, 10_000))
    assert seen == []


def test_16_bits_are_scaled_and_not_clipped():
    assert (pixels(encoded(ramp_16(), "PNG"))[0] == np.arange(256)[:, None]).all()
    assert (pixels(encoded(ramp_16(), "TIFF"))[0] == np.arange(256)[:, None]).all()
    clipped = np.asarray(Image.fromarray(np.minimum(np.asarray(ramp_16()), 255).astype(np.uint8)))
    assert (clipped[0, 1:] == 255).all(), "the wrong way would be seen"


def test_16_bits_are_rounded_to_the_nearest():
    values = np.array([[0, 128, 129, 32767, 32768, 65406, 65407, 65535]] * 2, dtype=np.uint16)
    expected = [round(v / 257) for v in values[0].tolist()]
    assert pixels(encoded(Image.fromarray(values), "PNG"))[0, :, 0].tolist() == expected
    big_endian = b"P5 8 2 65535\n" + values.astype(">u2").tobytes()
    assert pixels(big_endian)[0, :, 0].tolist() == expected
    assert images.inspect(big_endian).note == "16-bit, read as 8-bit"


def test_16_bit_colour_is_scaled_too():
    import struct
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    values = np.linspace(0, 65535, 4 * 4 * 3).astype(np.uint16).reshape(4, 4, 3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.abs(pixels(data).astype(int) - values / 257).max() <= 1
    assert images.inspect(data).note == "16-bit, read as 8-bit"


def test_floats_of_0_to_1_are_scaled_and_others_refused():
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert (pixels(encoded(Image.fromarray(values), "TIFF"))[..., 0] == np.rint(values * 255)).all()
    for wrong in (values * 300, values - 1, values * np.nan):
        with pytest.raises(BadImage, match="float pixels outside"):
            images.decode(encoded(Image.fromarray(wrong), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_really_applied(orientation):
    upright = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3) * 3
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(stored))
    files = [
        encoded(picture, "PNG", exif=exif),
        encoded(picture, "WEBP", lossless=True, exif=exif),
        encoded(picture, "TIFF", exif=exif),
        encoded(picture, "TIFF", exif=exif, compression="tiff_lzw"),
    ]
    for data in files:
        assert (pixels(data) == upright).all()
        note = "" if orientation == 1 else "EXIF orientation, read as upright"
        assert images.inspect(data) == images.Facts(4, 6, note)


def test_damaged_exif_costs_nothing():
    data = encoded(colours(16), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12broken")
    assert images.inspect(data) == images.Facts(16, 16, "")


def test_cmyk_is_close_to_the_original():
    original = colours(64)
    back = images.decode(encoded(original.convert("CMYK"), "JPEG", quality=100, subsampling=0))
    assert np.asarray(ImageChops.difference(original, back)).mean() < 3
    inverted = ImageChops.invert(original)
    assert np.asarray(ImageChops.difference(inverted, back)).mean() > 30, "the wrong way would be seen"


def test_transparency_is_laid_on_white():
    half = pixels(encoded(see_through(), "PNG"))
    assert (half[:, :8] == (255, 0, 0)).all()
    assert (half[:, 8:] == 255).all()
    grey = Image.fromarray(np.full((4, 4), 100, dtype=np.uint8)).convert("LA")
    grey.putalpha(128)
    assert abs(int(pixels(encoded(grey, "PNG"))[0, 0, 0]) - (100 * 128 + 255 * 127) / 255) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_transparent_colour_is_laid_on_white(mode):
    picture = Image.new("RGB", (4, 4), "black").convert(mode)
    index = {"RGB": (0, 0, 0)}.get(mode, picture.getpixel((0, 0)))
    assert (pixels(encoded(picture, "PNG", transparency=index)) == 255).all()


def test_a_palette_keeps_its_colours():
    original = colours(32).quantize(64)
    data = encoded(original, "PNG")
    assert (pixels(data) == np.asarray(original.convert("RGB"))).all()
    assert images.inspect(data).note == "palette, read as RGB"


def test_the_first_frame_is_taken():
    for kind in ("GIF", "WEBP", "PNG"):
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert (pixels(data) == (255, 0, 0)).all()
        assert "animated: first of 2 frames" in images.inspect(data).note


def test_pages_are_counted():
    pages = [colours(8, seed) for seed in range(3)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert images.inspect(data).note == "first of 3 pages"
    assert (pixels(data) == np.asarray(pages[0])).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_truncation_is_found_in_every_format(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(colours(128), kind, **options)
    images.inspect(data)
    for share in (0.05, 0.3, 0.6, 0.9):
        with pytest.raises(BadImage):
            images.inspect(data[: int(len(data) * share)])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_are_decoded_or_refused_and_nothing_else(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    whole = bytearray(encoded(colours(24), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts = images.inspect(bytes(whole))
    except BadImage as error:
        assert error.message and "\n" not in error.message and " at 0x" not in error.message
    else:
        assert images.decode(bytes(whole)).size == (facts.width, facts.height)


@given(st.binary(max_size=64))
def test_any_bytes_are_decoded_or_refused(data):
    with pytest.raises(BadImage):
        images.inspect(data)


@given(st.integers(2, 9), st.integers(2, 9), st.randoms(use_true_random=False))
def test_png_gives_back_the_pixels(width, height, random):
    original = np.array([random.randrange(256) for _ in range(width * height * 3)], dtype=np.uint8)
    original = original.reshape(height, width, 3)
    data = images.encode_png(Image.fromarray(original))
    assert (pixels(data) == original).all()
    assert images.inspect(data) == images.Facts(width, height, "")


def test_png_bytes_hang_on_the_pixels_alone():
    plain = colours(16)
    with_metadata = plain.copy()
    with_metadata.info.update(icc_profile=b"profile", dpi=(300, 300), comment="x")
    assert images.encode_png(plain) == images.encode_png(with_metadata) == images.encode_png(plain)


def test_digest_is_sha256():
    assert images.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_decoding_in_threads_gives_the_same(bad_inputs):
    root, expected = bad_inputs
    files = [(root / path).read_bytes() for path, what in expected.items() if what.kept] * 8
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(images.inspect, files))
    assert together == [images.inspect(data) for data in files]


def test_the_module_loads_neither_pillow_nor_numpy():
    ask = "import sys, augforge.data.images; print(*[m for m in ('PIL', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split() == []


def test_an_image_object_from_a_stream_may_be_used_after_the_bytes_are_gone():
    image = images.decode(io.BytesIO(encoded(colours(8), "PNG")).getvalue())
    assert image.info == {} and image.resize((4, 4)).size == (4, 4)


MAP = np.random.default_rng(3).integers(0, 256, (6, 9), dtype=np.uint8)


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of `bits` per pixel with the values (h, w) as they are, which Pillow cannot write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    per_byte = 8 // bits
    rows = np.pad(values, ((0, 0), (0, -values.shape[1] % per_byte)))
    packed = sum(rows[:, place::per_byte] << (8 - bits * (place + 1)) for place in range(per_byte)).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def palette(values: np.ndarray, colours: list[int]) -> Image.Image:
    """A picture of mode P whose indices are `values`."""
    image = Image.fromarray(values).copy()
    image.putpalette(colours)
    return image


def test_a_mask_goes_there_and_back():
    data = images.encode_mask(MAP)
    assert (images.decode_mask(data) == MAP).all() and images.decode_mask(data).dtype == np.uint8
    assert images.encode_mask(MAP) == data
    for wrong in (MAP.astype(np.int64), MAP[None]):
        with pytest.raises(ValueError, match="a mask is"):
            images.encode_mask(wrong)


def test_labels_are_what_was_stored_not_what_is_shown():
    """Indices, not the palette's colours; 0 and 1, not black and white; few bits of grey as they are."""
    few = MAP % 4
    shown = palette(few, [250, 0, 0, 0, 250, 0, 0, 0, 250, 9, 9, 9])
    assert shown.mode == "P"
    assert (images.decode_mask(encoded(shown, "PNG")) == few).all()
    assert (images.decode_mask(encoded(shown, "PNG", transparency=0)) == few).all()
    assert (images.decode_mask(encoded(Image.fromarray(few > 1), "PNG")) == (few > 1)).all()
    assert (images.decode_mask(encoded(Image.fromarray(MAP.astype(np.uint16)), "PNG")) == MAP).all()
    for bits in (1, 2, 4, 8):
        values = MAP >> (8 - bits)
        data = grey_png(values, bits)
        assert (images.decode_mask(data) == values).all(), bits
        stretched = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        assert bits == 8 or (stretched != values).any(), "the wrong way gives something else"


def test_what_is_no_label_map_is_said():
    wide = encoded(Image.fromarray(np.full((4, 4), 256, dtype=np.uint16)), "PNG")
    for data, reason in (
        (encoded(colours(8), "PNG"), "single-channel PNG, not PNG of mode RGB"),
        (encoded(Image.fromarray(MAP), "JPEG"), "single-channel PNG, not JPEG of mode L"),
        (encoded(Image.fromarray(MAP).convert("LA"), "PNG"), "not PNG of mode LA"),
        (wide, "labels of 0 to 255, not 256"),
        (images.encode_mask(MAP)[:50], "truncated|damaged"),
        (b"", "empty file"),
        (b"text", "not an image"),
        (png_header(50_000, 50_000), "decompression bomb"),
    ):
        with pytest.raises(BadImage, match=reason):
            images.decode_mask(data)
