"""XMP packets in PNG, JPEG and WebP files: read and added between the bytes of the picture, which stay as they are.

The mark is IPTC's property `DigitalSourceType` (Photo Metadata Standard, `Iptc4xmpExt`). Where packets lie: PNG, a
chunk `iTXt` with the keyword `XML:com.adobe.xmp`; JPEG, a segment APP1; WebP, a chunk `XMP `, announced in `VP8X`
(ISO 16684-3 and the WebP container specification).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from augforge import __version__

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PNG = b"\x89PNG\r\n\x1a\n"
KEYWORD = b"XML:com.adobe.xmp\x00"
APP1 = b"http://ns.adobe.com/xap/1.0/\x00"
LARGEST = 1 << 20
"""Bytes of the largest packet that is looked at."""
JPEG_ROOM = 65_533 - len(APP1)
_TYPE = re.compile(r"DigitalSourceType\b[^<>]{0,200}?(?:=\s*[\"']|>\s*|resource\s*=\s*[\"'])([^\"'<>]{1,200})")
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


def packet(kind: str, identity: str) -> bytes:
    """An XMP packet that says how a picture came about, and by which sample's id it is known."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'{_description(kind, identity)}</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _description(kind: str, identity: str) -> str:
    return (
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{kind}" xmp:CreatorTool="augforge {__version__}"'
        f" dc:identifier={quoteattr('augforge:' + identity)}/>"
    )


def source_type(data: bytes) -> str | None:
    """The digital source type that an encoded image carries, such as "trainedAlgorithmicMedia"; None if none."""
    found = read_packet(data)
    match = _TYPE.search(found.decode(errors="replace")) if found else None
    return match.group(1).strip().rpartition("/")[2] if match else None


def add_mark(data: bytes, kind: str, identity: str) -> bytes | None:
    """The same file with the mark; the file itself if it has that mark; None if there is no room for one.

    An XMP packet that is there is kept, and the mark put into it.
    """
    if source_type(data) == kind:
        return data
    old = read_packet(data)
    new = packet(kind, identity) if old is None else _extended(old, kind, identity)
    try:
        return _with_packet(data, new)
    except (struct.error, IndexError, ValueError):  # a damaged file: there is no telling where a packet would go
        return None


def _extended(old: bytes, kind: str, identity: str) -> bytes:
    """A packet with one description more, in place of what it says of the digital source type."""
    text = re.sub(rb"\s[\w-]+:DigitalSourceType\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", old)
    head, end, tail = text.rpartition(b"</rdf:RDF>")
    if not end or _TYPE.search(text.decode(errors="replace")):
        return packet(kind, identity)
    return head + _description(kind, identity).encode() + end + tail


def read_packet(data: bytes) -> bytes | None:
    """The XMP packet of a PNG, JPEG or WebP file; None if it has none, or is of another kind or damaged."""
    try:
        return next(_packets(data), None)
    except (struct.error, IndexError, zlib.error):
        return None


def _packets(data: bytes) -> Iterator[bytes]:
    """The XMP packets of a file in order; none of a file of another kind."""
    if data.startswith(PNG):
        for name, start, end in _png(data):
            if found := _png_packet(name, data[start:end]):
                yield found
    elif data.startswith(b"\xff\xd8"):
        for marker, start, end in _jpeg(data):
            if (found := _jpeg_packet(marker, data[start + 4 : end])) is not None:
                yield found
    elif _is_webp(data):
        yield from (data[start:end] for name, start, end in _webp(data) if name == b"XMP ")


def _with_packet(data: bytes, new: bytes) -> bytes | None:
    if data.startswith(PNG):
        return _into_png(data, new)
    if data.startswith(b"\xff\xd8"):
        return _into_jpeg(data, new)
    return _into_webp(data, new) if _is_webp(data) else None


# -- PNG: length, name, body, checksum ----------------------------------------------------------------------


def _png(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the body of every chunk before the pixels end."""
    at = len(PNG)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name = data[at + 4 : at + 8]
        yield name, at + 8, min(at + 8 + size, len(data))
        at += 12 + size
        if name == b"IEND":
            return


def _png_packet(name: bytes, body: bytes) -> bytes | None:
    """The packet in an `iTXt` chunk, unpacked within bounds."""
    if name != b"iTXt" or not body.startswith(KEYWORD) or len(body) > LARGEST:
        return None
    packed = body[len(KEYWORD)]
    text = body[len(KEYWORD) + 2 :].split(b"\x00", 2)[2]
    return zlib.decompressobj().decompress(text, LARGEST) if packed else text


def _jpeg_packet(marker: int, body: bytes) -> bytes | None:
    """The packet in an APP1 segment."""
    return body[len(APP1) :] if marker == 0xE1 and body.startswith(APP1) else None


def _into_png(data: bytes, new: bytes) -> bytes:
    body = b"iTXt" + KEYWORD + b"\x00\x00\x00\x00" + new
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    chunks = list(_png(data))
    if not chunks or chunks[0][0] != b"IHDR":
        raise ValueError("no PNG header")
    first = chunks[0][2] + 4
    old = [(s - 8, e + 4) for name, s, e in chunks if _png_packet(name, data[s:e]) is not None]
    return b"".join([data[:first], chunk, _without(data, old, first)])


def _without(data: bytes, cuts: list[tuple[int, int]], start: int) -> bytes:
    """The bytes from `start` on, less the parts from a to b that are cut out."""
    kept = []
    for a, b in cuts:
        kept.append(data[start:a])
        start = b
    return b"".join([*kept, data[start:]])


# -- JPEG: segments of FF, marker, length, body ----------------------------------------------------------------


def _jpeg(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of every segment before the pixels."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # filling
            at += 1
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        if size < 2:
            raise IndexError("damaged")
        yield data[at + 1], at, at + 2 + size
        at += 2 + size


def _into_jpeg(data: bytes, new: bytes) -> bytes | None:
    if len(new) > JPEG_ROOM:
        return None
    body = APP1 + new
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    segments = list(_jpeg(data))
    place = 2  # after JFIF and EXIF, which have to come first
    for marker, start, end in segments:
        if start != place or not (marker == 0xE0 or (marker == 0xE1 and data[start + 4 : end].startswith(b"Exif"))):
            break
        place = end
    old = [(s, e) for marker, s, e in segments if marker == 0xE1 and data[s + 4 : e].startswith(APP1)]
    return data[:place] + segment + _without(data, old, place)


# -- WebP: RIFF chunks of name, length, body, padding -----------------------------------------------------------


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _webp(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the body of every chunk."""
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], at + 8, min(at + 8 + size, len(data))
        at += 8 + size + size % 2


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def _into_webp(data: bytes, new: bytes) -> bytes:
    chunks = [(name, data[start:end]) for name, start, end in _webp(data)]
    names = [name for name, _ in chunks]
    if names[0] == b"VP8X":
        head = bytes([chunks[0][1][0] | _XMP_FLAG]) + chunks[0][1][1:]
    else:
        head = _extended_header(*chunks[0])
    rest = [_chunk(name, body) for name, body in chunks if name not in (b"VP8X", b"XMP ")]
    body = b"WEBP" + _chunk(b"VP8X", head) + b"".join(rest) + _chunk(b"XMP ", new)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _extended_header(name: bytes, body: bytes) -> bytes:
    """The header `VP8X` of a simple WebP file: flags and the size, which its only chunk tells."""
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif name == b"VP8 ":
        wide, high = struct.unpack_from("<HH", body, 6)
        width, height, alpha = (wide & 0x3FFF) - 1, (high & 0x3FFF) - 1, 0
    else:
        raise ValueError("no picture where one is expected")
    if min(width, height) < 0:
        raise ValueError("a picture without pixels")
    flags = _XMP_FLAG | (_ALPHA_FLAG if alpha else 0)
    return b"".join([bytes([flags, 0, 0, 0]), width.to_bytes(3, "little"), height.to_bytes(3, "little")])
