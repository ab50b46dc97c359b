"""What a look into the file of an image tells: its digest and size, what goes with it, and why it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from augforge.data import images
from augforge.data.pictures import dump_pictures, kind_of
from augforge.errors import BadImage
from augforge.io.base import Entry, Source

if TYPE_CHECKING:
    from PIL.Image import Image

FACTS = pa.schema(
    [
        ("key", pa.string()),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("note", pa.string()),
        ("pictures", pa.string()),
        ("problem", pa.string()),
    ]
)
EMPTY = {"digest": "", "width": 0, "height": 0, "note": "", "pictures": ""}


@dataclass(frozen=True, slots=True)
class Opened:
    """The encoded bytes of an image that can be used, and the image."""

    data: bytes
    image: Image


def facts_of(source: Source, entry: Entry) -> dict[str, Any]:
    """What is found in the file of an entry, as the columns of `FACTS` but for the key."""
    return opened_facts(source, entry)[0]


def opened_facts(source: Source, entry: Entry) -> tuple[dict[str, Any], Opened | None]:
    """As `facts_of`, and the image, if it can be used."""
    row = {**EMPTY, "problem": entry.problem}
    if entry.problem:
        return row, None
    try:
        data = source.read(entry.locator)
        row["digest"] = images.digest(data)
        image, facts = images.decoded_and_inspected(data)
        row |= {"width": facts.width, "height": facts.height, "note": facts.note}
        digests, wrong = _pictures(source, entry, facts)
        note = "; ".join(filter(None, [facts.note, *wrong]))
        return {**row, "pictures": dump_pictures(digests), "note": note}, Opened(data, image)
    except BadImage as error:
        return {**row, "problem": error.message}, None


def _pictures(source: Source, entry: Entry, image: images.Facts) -> tuple[dict[str, str], list[str]]:
    """The digests of the pictures that go with an image, and what is wrong with those that are left out.

    Raises:
        BadImage: one whose pixels belong to those of the image, such as its mask, cannot be used with it.
    """
    digests, wrong = {}, []
    for name in entry.pictures:
        try:
            digests[name] = kind_of(name).checked(_picture(source, entry, name), name, image)
        except BadImage as error:
            if kind_of(name).aligned:
                raise
            wrong.append(error.message)
    return digests, wrong


def _picture(source: Source, entry: Entry, name: str) -> bytes:
    try:
        return source.read_picture(entry.locator, name)
    except BadImage as error:
        raise BadImage(f"its {name}: {error.message}") from error
