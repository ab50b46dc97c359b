"""The members of a tar archive: which of them are one sample, and what each is to it."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from augforge.data.pictures import MASK, is_free
from augforge.io.tar_headers import members_of
from augforge.io.tree import SUFFIXES

LARGEST = 256 << 20
"""Bytes of the largest image that is read out of an archive."""
TEXTS = ("json", "cls", "txt", "caption", "text")
"""The kinds of members that tell of the image."""
MASKS = ("mask", "seg", "segm", "segmentation", "semantic")
"""The names before the suffix of a mask: `ID.seg.png`."""
PICTURES = ("image", "img", "rgb", "photo", "picture", "input")
"""The names before the suffix by which the image is known where none is called `ID.png`: `ID.rgb.png`."""
ANOTHER = "there is another image of its name"


class Place(NamedTuple):
    """Where the bytes of a member lie in its archive."""

    offset: int
    size: int


@dataclass(slots=True)
class Members:
    """The members of one sample. `pictures` go with its image, by what they are called before the suffix: "depth"."""

    image: Place | None = None
    texts: dict[str, Place] = field(default_factory=dict)
    pictures: dict[str, Place] = field(default_factory=dict)


@dataclass(slots=True)
class Scan:
    """What is in an archive: its samples by name, what was refused, with the reason, and what was passed over."""

    samples: dict[str, Members] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)


def scan(file: IO[bytes], name: str) -> Scan:
    """Look through an archive; reads the headers of its members only. What is behind damage is missing."""
    found = Scan()
    try:
        for member in members_of(file):
            _take(member, found)
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        found.refused.append((name, f"its archive is damaged: {str(error) or type(error).__name__}"))
    for stem, sample in found.samples.items():
        found.refused += [(f"{stem}.{kind}"[:200], ANOTHER) for kind in _settle(sample)]
    return found


def _take(member: tarfile.TarInfo, found: Scan) -> None:
    """Put a member into its sample, or say why not."""
    name = member.name.removeprefix("./")
    if member.isdir() or _is_junk(name):
        return
    stem, kind = split_member(name)
    suffix = kind.rpartition(".")[2]
    if suffix not in SUFFIXES and kind not in TEXTS:
        found.unused[f".{suffix}" if suffix else name.rpartition("/")[2]] += 1
    elif problem := _problem(member):
        found.refused.append((member.name[:200], problem))
    else:
        place = Place(member.offset_data, member.size)
        if not _fits(found.samples.setdefault(stem, Members()), kind, suffix, place):
            found.refused.append((member.name[:200], ANOTHER if suffix in SUFFIXES else "it comes twice"))


def _fits(sample: Members, kind: str, suffix: str, place: Place) -> bool:
    """Whether a member has a place in its sample, which it takes."""
    if kind in TEXTS:
        return sample.texts.setdefault(kind, place) is place
    name = kind.removesuffix(f".{suffix}")
    if name in MASKS and MASK not in sample.pictures:
        sample.pictures[MASK] = place
        return True
    if kind == suffix:
        first = sample.image is None
        sample.image = sample.image or place
        return first
    free = name if is_free(name) else f"{name}_picture"
    return sample.pictures.setdefault(free, place) is place


def _settle(sample: Members) -> list[str]:
    """Find the image of a sample that has none called `ID.png`; returns the pictures of which nobody can tell what
    they are.
    """
    others = [name for name in sample.pictures if name != MASK]
    if sample.image is not None or not others:
        return []
    chosen = next((name for name in others if name in PICTURES), None)
    sample.image = sample.pictures.pop(chosen or others[0])
    if chosen:
        return []
    for name in others[1:]:
        del sample.pictures[name]
    return others[1:]


def _is_junk(name: str) -> bool:
    """Whether a member is what systems leave in archives: hidden files (`._NAME` of Macs), `PaxHeader`."""
    parts = name.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") and part != ".." for part in parts)
    return hidden or any(part == "__MACOSX" or part.startswith("PaxHeader") for part in parts[:-1])


def _problem(member: tarfile.TarInfo) -> str:
    parts = member.name.replace("\\", "/").split("/")
    if member.name.startswith(("/", "\\")) or ".." in parts or "\0" in member.name or ":" in parts[0]:
        return "its name leads out of the archive"
    if not member.isreg() or member.issparse():
        return "a link, a device or a file with holes, not a plain file"
    return f"{member.size:,} bytes, over {LARGEST:,}" if member.size > LARGEST else ""


def split_member(name: str) -> tuple[str, str]:
    """Stem (with its folder) and kind of a member's name: at the first dot of the last part, as webdataset does it."""
    folder, slash, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return f"{folder}{slash}{stem}", kind.lower()


def without_images(samples: Iterable[tuple[str, Members]]) -> list[str]:
    """The names of the samples that have no image."""
    return [name for name, sample in samples if sample.image is None]
