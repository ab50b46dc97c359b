"""Rows that are computed once an image: which images lack them, and the work that makes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from augforge.algorithms.rules import Unjudged
from augforge.data import images
from augforge.data.key_index import PIECE
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.engine.engines.local import Local
from augforge.engine.pixels import Located, Pixels, located
from augforge.engine.work import Engine, Made, Maker, Place, Refused, Rows, Work
from augforge.errors import BadImage
from augforge.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image


def without_rows(ledger: Ledger, indices: Indices, parts: Parts, but: Container[str] = ()) -> Indices:
    """Of the samples at `indices` one for each digest that has no row in `parts`, in the ledger's order.

    Those of the digests in `but` are left out.
    """
    todo: dict[str, int] = {}
    for start in range(0, len(indices), PIECE):
        part = indices[start : start + PIECE]
        missing = part[parts.find(ledger.texts("digest", part)) < 0]
        todo |= zip(ledger.column("digest", missing), missing.tolist(), strict=True)
    return np.array(sorted(place for digest, place in todo.items() if digest not in but), dtype=np.int64)


def look_at(
    work: OfDigests, ledger: Ledger, todo: Indices, parts: Parts, place: Place, engine: Engine | None = None
) -> Refused:
    """Make the rows of the samples at `todo`, which are of different digests; why there are none of some."""
    return (engine or Local()).run(work, located(ledger, todo), len(todo), parts, place)


@dataclass(frozen=True)
class OfDigests(Work[Located], ABC):
    """What is measured of images of different digests, by which the rows are found."""

    title: str

    def name_of(self, item: Located) -> str:
        """As `Work.name_of`."""
        return item.digest

    def lost(self, items: Sequence[Located], why: str) -> Made:
        """As `Work.lost`: they are dropped."""
        return Made([], refused=Refused({sample.digest: why for sample in items}))


class Look(OfDigests):
    """What is measured of images without a model: all is done while they are read, in several threads at once."""

    @abstractmethod
    def see(self, image: Encoded) -> Any:
        """What is seen of an image.

        Raises:
            BadImage: it cannot be read.
            Unjudged: (of `augforge.algorithms.rules`) nothing can be said of it.
        """

    def rows_of(self, seen: Mapping[str, Any]) -> Rows:
        """The rows of what was seen, by digest: the columns beside `digest` themselves, unless it is done otherwise."""
        return [{"digest": digest, **columns} for digest, columns in seen.items()]

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Looking(self, pixels)


class Glance:
    """What a look sees of one image after the other."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._seen: dict[str, Any] = {}
        self._dropped: dict[str, str] = {}
        self._unjudged: dict[str, str] = {}

    def at(self, digest: str, image: Encoded) -> None:
        """Look at the image of a digest."""
        try:
            self._seen[digest] = self._look.see(image)
        except BadImage as error:
            self._dropped[digest] = error.message
        except Unjudged as error:
            self._unjudged[digest] = str(error)

    def made(self) -> Made:
        """The rows, and why there are none of some."""
        return Made(self._look.rows_of(self._seen), refused=Refused(self._dropped, self._unjudged))


@dataclass(slots=True)
class Ahead:
    """What is measured of images while they are read, and where it goes.

    `count` images were looked at so, and `unjudged` has those of which nothing could be said, with why, by the folder
    of the parts that lack them.
    """

    looks: Sequence[tuple[Look, Parts]] = ()
    count: int = 0
    unjudged: dict[str, dict[str, str]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def of(self, parts: Parts) -> tuple[int, Mapping[str, str]]:
        """How many images were looked at for `parts`, told once; and those that could not be judged."""
        name = parts.folder.name
        there = any(more.folder.name == name for _, more in self.looks) and name not in self.told
        self.told.add(name)
        return (self.count, self.unjudged.get(name, {})) if there else (0, {})


class Encoded(Protocol):
    """The bytes of an image, and the image."""

    @property
    def data(self) -> bytes:
        """Encoded; BadImage if they are gone."""

    @property
    def image(self) -> Image:
        """Decoded; BadImage if it cannot be."""


class _Lazy:
    """An image that is read, and decoded, when it is asked for."""

    def __init__(self, pixels: Pixels, sample: Located) -> None:
        self._pixels, self._sample = pixels, sample

    @cached_property
    def data(self) -> bytes:
        return self._pixels.bytes_of(self._sample)

    @cached_property
    def image(self) -> Image:
        return images.decode(self.data)


class _Looking(Maker):
    def __init__(self, look: Look, pixels: Pixels) -> None:
        self._look, self._pixels = look, pixels

    def load(self, batch: Sequence[Located]) -> Made:
        glance = Glance(self._look)
        for sample in batch:
            glance.at(sample.digest, _Lazy(self._pixels, sample))
        return glance.made()

    def rows(self, made: Made) -> Made:
        return made


def decoded(batch: Sequence[Located], pixels: Pixels) -> tuple[dict[str, Image], dict[str, str]]:
    """The RGB images of a batch that can be read, and why the others cannot, by digest."""
    found: dict[str, Image] = {}
    dropped: dict[str, str] = {}
    for sample in batch:
        try:
            found[sample.digest] = images.decode(pixels.bytes_of(sample))
        except BadImage as error:
            dropped[sample.digest] = error.message
    return found, dropped


def drop_all(reasons: Mapping[str, str], drop: Callable[[list[str], str], None]) -> None:
    """Tell `drop` the digests that have each reason."""
    by_reason: dict[str, list[str]] = {}
    for digest, reason in reasons.items():
        by_reason.setdefault(reason, []).append(digest)
    for reason, digests in by_reason.items():
        drop(digests, reason)
