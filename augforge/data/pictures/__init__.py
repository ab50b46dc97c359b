"""Companion pictures: what goes with an image as a picture of its own, such as its mask or its depth.

A sample's pictures are a mapping from names to digests, `{"mask": "5f70…"}`. A name that is in `KINDS` is of that kind,
which is one file and one line here; every other name is of a plain picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from augforge.data import images
from augforge.data.annotations import KINDS as ANNOTATIONS
from augforge.data.pictures.base import Moves, PictureKind
from augforge.data.pictures.depth import Depth
from augforge.data.pictures.instances import Instances
from augforge.data.pictures.mask import Mask
from augforge.data.pictures.other import Other

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "INSTANCES",
    "KINDS",
    "MASK",
    "Moves",
    "PictureKind",
    "digests_of",
    "dump_pictures",
    "encode_pictures",
    "identity_of",
    "is_free",
    "kind_of",
    "move_pictures",
    "parse_pictures",
    "picture_names",
]

MASK, INSTANCES = Mask.name, Instances.name
KINDS: dict[str, PictureKind] = {kind.name: kind for kind in (Mask(), Instances(), Depth())}
_OTHER = Other()
_TAKEN = frozenset(
    {"image", "label", "id", "origin", "weight", "scores", "provenance", "split", "sha256", "file_name", *ANNOTATIONS}
)
"""The names of other columns of a dataset."""


def kind_of(name: str) -> PictureKind:
    """The kind of the pictures of a name."""
    return KINDS.get(name, _OTHER)


def is_free(name: str) -> bool:
    """Whether a picture can go by a name: no other column of a dataset does."""
    return bool(name) and name not in _TAKEN


def dump_pictures(digests: Mapping[str, str]) -> str:
    """Digests by name as canonical JSON, "" if there are none."""
    return json.dumps(dict(digests), sort_keys=True, separators=(",", ":"), ensure_ascii=False) if digests else ""


def parse_pictures(text: str | None) -> dict[str, str]:
    """The digests of such a text."""
    return dict(json.loads(text)) if text else {}


def picture_names(texts: Iterable[str | None]) -> set[str]:
    """The names of all pictures in such texts."""
    return {name for text in texts if text for name in parse_pictures(text)}


def identity_of(pictures: Mapping[str, str] | str | None) -> str:
    """What the pictures of a sample (or the text of them) add to its identity: "" for none, of a mask its digest."""
    found = parse_pictures(pictures) if pictures is None or isinstance(pictures, str) else pictures
    return found[MASK] if list(found) == [MASK] else dump_pictures(found)


def move_pictures(pictures: Mapping[str, bytes], moves: Moves, size: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """The decoded pictures of an image of `size` (height, width) after it was moved.

    One of another size than its image cannot follow it, and is left out.
    """
    decoded = {name: kind_of(name).decoded(data) for name, data in pictures.items()}
    return {name: kind_of(name).moved(pixels, moves) for name, pixels in decoded.items() if pixels.shape[:2] == size}


def encode_pictures(
    pictures: Mapping[str, NDArray[Any]], like: Mapping[str, bytes], size: tuple[int, int]
) -> dict[str, bytes]:
    """PNG bytes of the pictures made for an image of `size` (height, width), in the modes of those of `like`.

    Raises:
        ValueError: one that has to have the size of its image has another, which is a defect of what made it.
    """
    for name, pixels in pictures.items():
        if kind_of(name).aligned and pixels.shape[:2] != size:
            raise ValueError(f"{name}: {pixels.shape} was made for a picture of {size}")
    return {name: kind_of(name).encoded(pixels, like.get(name)) for name, pixels in pictures.items()}


def digests_of(pictures: Mapping[str, bytes]) -> dict[str, str]:
    """The digests of encoded pictures."""
    return {name: images.digest(data) for name, data in pictures.items()}
