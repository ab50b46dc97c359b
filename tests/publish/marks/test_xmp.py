"""XMP marks: written without touching a pixel, found again, by us and by Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from augforge.publish.marks import source_types
from augforge.publish.marks.xmp import VOCABULARY, add_mark, packet, read_packet, source_type
from tests.publish.runs import picture

MADE = "trainedAlgorithmicMedia"
MIXED = "compositeWithTrainedAlgorithmicMedia"
ENHANCED = "algorithmicallyEnhanced"


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (33, 20, 4), dtype=np.uint8)
    image = Image.fromarray(pixels, "RGBA").convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
FILES = {
    "png": encoded("PNG"),
    "png with alpha": encoded("PNG", "RGBA"),
    "png with palette": encoded("PNG", "P"),
    "png with exif": encoded("PNG", exif=EXIF),
    "jpeg": encoded("JPEG"),
    "grey jpeg": encoded("JPEG", "L"),
    "jpeg with exif": encoded("JPEG", exif=EXIF),
    "progressive jpeg": encoded("JPEG", progressive=True),
    "webp": encoded("WEBP"),
    "webp with alpha": encoded("WEBP", "RGBA"),
    "lossless webp": encoded("WEBP", lossless=True),
    "lossless webp with alpha": encoded("WEBP", "RGBA", lossless=True),
    "webp with exif": encoded("WEBP", exif=EXIF),
}


def pixels_of(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.mode, image.size, image.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_pixels_and_everything_else_stay_and_the_mark_is_found(name):
    data = FILES[name]
    marked = add_mark(data, MADE, "abc")
    assert source_type(data) is None and source_type(marked) == MADE
    assert pixels_of(marked) == pixels_of(data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(marked)) as after:
        assert dict(after.getexif()) == dict(before.getexif())
        assert f"{VOCABULARY}{MADE}".encode() in after.info["xmp"]
    assert len(marked) - len(data) < 800


@pytest.mark.parametrize("name", FILES)
def test_a_mark_that_is_there_is_left_and_another_one_is_replaced(name):
    marked = add_mark(FILES[name], MADE, "abc")
    assert add_mark(marked, MADE, "abc") == marked
    changed = add_mark(marked, MIXED, "abc")
    assert source_type(changed) == MIXED and MADE.encode() + b'"' not in changed
    assert pixels_of(changed) == pixels_of(FILES[name])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_a_packet_says_already_is_kept(kind):
    other = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="mine"/>'
        b"</rdf:RDF></x:xmpmeta>"
    )
    if kind == "PNG":
        body = b"iTXtXML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(other)
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        data = FILES["png"][:33] + chunk + FILES["png"][33:]
    else:
        data = encoded(kind, xmp=other)
    assert read_packet(data) == other
    marked = add_mark(data, MADE, "abc")
    assert source_type(marked) == MADE and b'dc:rights="mine"' in read_packet(marked)
    assert pixels_of(marked) == pixels_of(data)


@pytest.mark.parametrize(
    "form", ["<I:DigitalSourceType>{}</I:DigitalSourceType>", '<I:DigitalSourceType rdf:resource="{}"/>']
)
def test_other_ways_to_write_the_property_are_read(form):
    text = form.format(VOCABULARY + MADE).encode()
    assert source_type(encoded("JPEG", xmp=text)) == MADE


def test_pillow_loses_the_mark_when_it_saves_again():
    with Image.open(io.BytesIO(add_mark(FILES["png"], MADE, "abc"))) as image:
        out = io.BytesIO()
        image.convert("RGB").save(out, "PNG")
    assert source_type(out.getvalue()) is None


def test_formats_without_room_say_so():
    assert add_mark(encoded("BMP"), MADE, "abc") is None and add_mark(encoded("GIF"), MADE, "abc") is None
    assert add_mark(b"", MADE, "abc") is None and add_mark(b"\x89PNG\r\n\x1a\n", MADE, "abc") is None


def test_an_id_cannot_break_out_of_the_packet():
    from xml.etree import ElementTree

    text = packet(MADE, '"/><evil x="').decode().replace("\ufeff", "")
    root = ElementTree.fromstring(text[text.index("<x:") : text.rindex("<?xpacket")])
    assert [child.tag for child in root.iter() if "evil" in child.tag] == []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_never_raise(name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(200, len(content) - 1)))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    source_type(cut)
    add_mark(cut, MADE, "abc")


def test_a_webp_file_that_says_it_has_no_width_is_not_marked():
    content = bytearray(FILES["webp"])
    content[26:28] = b"\x00\x00"  # the width in the frame header of VP8
    assert add_mark(bytes(content), MADE, "abc") is None


def test_a_packed_packet_is_unpacked_within_bounds():
    bomb = zlib.compress(b"x" * (64 << 20))
    body = b"iTXtXML:com.adobe.xmp\x00\x01\x00\x00\x00" + bomb
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert len(read_packet(FILES["png"][:33] + chunk + FILES["png"][33:])) <= 1 << 20


def test_the_type_follows_from_the_ancestors():
    origins = {"real": "real", "text": "synthetic", "text2": "synthetic", "mixed": "synthetic", "mixed2": "synthetic",
               "lost": "synthetic", "loop": "synthetic"}  # fmt: skip
    parents = {"text2": ["text"], "mixed": ["text", "real"], "mixed2": ["mixed"], "lost": ["gone"], "loop": ["loop"]}
    assert source_types(origins, parents) == {
        "text": MADE, "text2": MADE, "mixed": MIXED, "mixed2": MIXED, "lost": MIXED, "loop": MADE,
    }  # fmt: skip
    chain = {f"{n}": "synthetic" for n in range(5000)} | {"root": "real"}
    links = {f"{n}": [f"{n - 1}" if n else "root"] for n in range(5000)}
    assert set(source_types(chain, links).values()) == {MIXED}


def test_what_no_model_has_made_is_not_of_a_trained_algorithm():
    origins = {"real": "real"} | dict.fromkeys(("text", "mixed", "shift", "shift2", "of-text", "of-mixed"), "synthetic")
    parents = {"mixed": ["real"], "shift": ["real"], "shift2": ["shift"], "of-text": ["text"], "of-mixed": ["mixed"]}
    assert source_types(origins, parents, {"shift", "shift2", "of-text", "of-mixed"}) == {
        "text": MADE, "mixed": MIXED, "shift": ENHANCED, "shift2": ENHANCED, "of-text": MADE, "of-mixed": MIXED,
    }  # fmt: skip


def test_pictures_of_the_generators_are_marked_losslessly():
    from augforge.data.images import decode, encode_png

    data = encode_png(decode(picture(3)))
    assert np.array_equal(np.asarray(decode(add_mark(data, MIXED, "x"))), np.asarray(decode(data)))
