"""What a source is, before anything is run: what its reader understood, and examples with all that is known of them."""

from __future__ import annotations

import base64
import heapq
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import KINDS, check_annotations, describe_annotations
from augforge.data.classes import filed_under, one_label, plain, said_labels, shares_of
from augforge.data.files import named, write_atomically
from augforge.data.ids import unit
from augforge.data.pictures import MASK
from augforge.errors import BadImage, SourceError, StoreError
from augforge.io.base import said_of
from augforge.io.sizes import fitting
from augforge.io.understood import Understood, understanding, understood
from augforge.printable import printable

if TYPE_CHECKING:
    from PIL import Image

    from augforge.io.base import Entry, Source

EXAMPLES = 24
"""Examples of a source, where nothing says how many."""
SIDE = 192
"""px of the longer side of an example."""
COLUMNS = 6
MARK = "augforge inspect"
"""What a sheet says made it."""
PROBLEMS = 10
"""Images with a problem that are named."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image of a source; `problem` says why it cannot be used, `wrong` which of its annotations cannot."""

    locator: str
    label: str | None
    split: str | None
    annotations: Mapping[str, Any]
    pictures: tuple[str, ...]
    picture: Image.Image = field(repr=False)
    problem: str = ""
    wrong: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON, the annotations in words."""
        said = {"label": self.label, "split": self.split, "annotations": describe_annotations(self.annotations)}
        return {
            "image": self.locator,
            **said,
            "pictures": list(self.pictures),
            "problem": self.problem,
            "wrong": list(self.wrong),
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a source was understood to be.

    `annotations` has for each kind that occurs the images with one and how many there are; `bad` the first images
    that cannot be used, with the reason; `examples` images of every class and split, in turn, the same at every call.
    """

    told: Understood
    annotations: Mapping[str, tuple[int, int]]
    bad: Sequence[tuple[str, str]]
    examples: Sequence[Example]

    def __str__(self) -> str:
        return self.told.sentence()

    @property
    def sheet(self) -> Image.Image:
        """The examples on one picture, their annotations drawn over them."""
        from augforge.report.drawing import described, sheet

        cells = []
        for one in self.examples:
            lines = described(one.label, one.split, one.annotations)
            told = [*lines, one.locator, one.problem or "; ".join(one.wrong)]
            cells.append((one.picture, [line for line in told if line]))
        return sheet(cells, columns=COLUMNS, side=SIDE)

    def png(self, path: str | Path) -> Path:
        """Write the sheet to a PNG file; its path. StoreError where a file is there that is no such sheet."""
        check_free(Path(path))
        write_atomically(Path(path), self._encoded())
        return Path(path)

    def plain(self) -> dict[str, Any]:
        """All of it as JSON."""
        told = self.told
        return {
            "source": told.where,
            "format": told.format,
            "images": told.images,
            "classes": {name: plain(count) for name, count in told.classes.items()},
            "unlabelled": told.unlabelled,
            "several-labels": told.several,
            "soft-labels": told.soft,
            "splits": told.splits,
            "pictures": dict(told.pictures),
            "annotations": {name: {"images": i, "things": n} for name, (i, n) in self.annotations.items()},
            "dropped": told.dropped,
            "unusable": told.bad,
            "unused-files": dict(told.unused),
            "notes": list(told.notes),
            "problems": [{"image": locator, "problem": problem} for locator, problem in self.bad],
            "examples": [one.plain() for one in self.examples],
        }

    def _encoded(self) -> bytes:
        from PIL.PngImagePlugin import PngInfo

        stream, about = io.BytesIO(), PngInfo()
        about.add_text("Software", MARK)
        self.sheet.save(stream, "PNG", pnginfo=about)
        return stream.getvalue()

    def _repr_html_(self) -> str:
        data = base64.b64encode(self._encoded()).decode()
        shown = f'<img alt="examples" src="data:image/png;base64,{data}">' if self.examples else ""
        return f"<p>{escape(printable(str(self)))}</p>{shown}"


def check_free(path: Path) -> None:
    """StoreError where `path` is there and is no sheet of examples: a picture of someone's is never written over."""
    if not path.exists():
        return
    with named(path), path.open("rb") as file:
        if MARK.encode() not in file.read(256):
            raise StoreError(f"{path} is there, and is no sheet of examples", "give another name")


def inspected(source: Source, limit: int = EXAMPLES) -> Inspection:
    """List `source` once, and read the pixels of `limit` of its images.

    Raises:
        SourceError: it is damaged, or holds no image.
    """
    told, chosen = understood(source), _Chosen(limit)
    counts: dict[str, tuple[int, int]] = {}
    bad: list[tuple[str, str]] = []
    for entry in understanding(source, told):
        chosen.offer(entry)
        dropped = (entry.carried or {}).get("kept") is False
        for name, value in () if dropped else said_of(entry).items():
            images, things = counts.get(name, (0, 0))
            more = _things(name, value, entry.size)
            counts[name] = images + (more > 0), things + more
        if entry.problem and len(bad) < PROBLEMS:
            bad.append((entry.locator, entry.problem))
    if not told.images:
        raise SourceError(f"{source.where} holds no images", "is it the right folder?")
    return Inspection(told, counts, bad, [_example(source, entry) for entry in chosen.in_turn()])


def _things(name: str, value: Any, size: tuple[int, int] | None) -> int:
    """How many things an annotation of the kind `name` tells of that can be used, on an image of (width, height)."""
    known = KINDS[name].counts(value, size and size[::-1])
    return next(iter(known.values()), len(value) if isinstance(value, (list, tuple)) else 1)


class _Chosen:
    """Of each class and split the first few images by a hash of what they are called."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: dict[tuple[str, str], list[tuple[float, str, int, Entry]]] = {}

    def offer(self, entry: Entry) -> None:
        """Take an image into account."""
        shares = shares_of(entry.label, said_labels(said_of(entry)))
        first = filed_under(shares, dict.fromkeys(shares, 0.0)) or ""
        group = self._groups.setdefault((first, entry.split or ""), [])
        ranked = (-unit("inspect", entry.locator), entry.locator, len(group), entry)  # the last goes first
        if len(group) < self._limit:
            heapq.heappush(group, ranked)
        elif ranked[:2] > group[0][:2]:
            heapq.heapreplace(group, ranked)

    def in_turn(self) -> Iterator[Entry]:
        """One image of each class and split after the other, until there are enough; in the order of the classes."""
        groups = [[entry for *_, entry in sorted(self._groups[name], reverse=True)] for name in sorted(self._groups)]
        rounds = (group[turn] for turn in range(self._limit) for group in groups if turn < len(group))
        taken = [entry for _, entry in zip(range(self._limit), rounds, strict=False)]
        place = {id(entry): (n, turn) for n, group in enumerate(groups) for turn, entry in enumerate(group)}
        yield from sorted(taken, key=lambda entry: place[id(entry)])


def _example(source: Source, entry: Entry) -> Example:
    """An image with its annotations drawn over it, or with what is wrong in its place."""
    from PIL import Image

    from augforge.data.images import decode, decode_condition
    from augforge.report.drawing import annotated

    try:
        if entry.problem:
            raise BadImage(entry.problem)
        data = source.read(entry.locator)
        image = decode(data)
        mask = decode_condition(source.read_picture(entry.locator, MASK)) if MASK in entry.pictures else None
    except BadImage as error:
        empty = Image.new("RGB", (SIDE, SIDE), (235, 235, 235))
        return Example(entry.locator, entry.label, entry.split, {}, tuple(entry.pictures), empty, error.message)
    usable, wrong = _usable(entry, data, image.size)
    picture = annotated(image, usable, mask, SIDE)
    label = one_label(entry.label, usable)
    return Example(entry.locator, label, entry.split, usable, tuple(entry.pictures), picture, "", wrong)


def _usable(entry: Entry, data: bytes, size: tuple[int, int]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The annotations that can be used of an image of `size` (width, height), and what is wrong with others."""
    from augforge.data.images import inspect

    said, other = said_of(entry), ""
    if entry.size:
        said, other = fitting(said, entry.size, inspect(data))
    usable, wrong = check_annotations(said, size[::-1])
    return usable, tuple(filter(None, [other, *wrong]))
