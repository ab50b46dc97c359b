"""What every source of images offers, and the few things that all formats share."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.data.annotations import parse_annotations
from augforge.errors import BadImage, SourceError, shortened
from augforge.remote.places import path_of, stamp_of

if TYPE_CHECKING:
    from augforge.io.understood import Understood
    from augforge.io.writing import Writer

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
"""The names of splits that folders and files go by, in lower case, and what augforge calls them."""


MISSING = "missing file"
"""The problem of an image of which a file tells, and that is not there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image that a source offers, before its bytes are read.

    `locator` is what `Source.read` takes: unique in its source and stable. `stamp` changes whenever the bytes may
    have changed ("" where that is unknown). `carried` holds what an augforge run or dataset already knows of its
    sample (id, origin, parents, sampled parameters, …); `problem` says what is wrong with it if that is known
    beforehand. `pictures` has, by their names, the pictures that go with the image, such as its `mask`: of each what
    changes whenever it may have changed.
    `annotations` is what else the source says of the content, by the names of
    `augforge.data.annotations.KINDS`; values need not be sound yet. `size` is the width and height in px of the picture
    that they are for, if the source says so.
    """

    locator: str
    label: str | None
    split: str | None = None
    stamp: str = ""
    carried: Mapping[str, Any] | None = None
    problem: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None


class Source(ABC):
    """Images to read. `read` may be called from several threads at once; options are keyword arguments of the class."""

    where: str
    """The source for people, such as "folder data/digits"."""
    writer: ClassVar[type[Writer] | None] = None
    """What writes the format, if it can be written."""
    format: ClassVar[str] = "source"
    """What a source of this kind is called, such as "image folder"."""
    declares_sizes: ClassVar[bool] = False
    """Whether annotations come with the size of the picture that they are for."""
    _split: str | None = None
    """The split that alone is read, if any."""

    @abstractmethod
    def classes(self) -> list[str]:
        """The classes, empty ones included: in the order the data declare, else in natural order; [] if unlabelled."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Every image, lazily and always in the same order. Quick: no pixels are read.

        Raises:
            SourceError: the source is damaged, or has nothing of the split that was asked for.
        """

    @abstractmethod
    def read(self, locator: str) -> bytes:
        """The encoded bytes of an entry, exactly as they are stored.

        Raises:
            BadImage: they cannot be had; the message is the reason.
        """

    def fingerprint(self) -> str:
        """A digest that changes whenever an entry may have changed; costs a listing at most."""
        total = hashlib.sha256(self.where.encode())
        for e in self.entries():
            said = [repr(more) for more in (e.pictures, e.annotations, e.size) if more]
            total.update(repr((e.locator, e.label, e.split, e.stamp, e.problem, *said)).encode())
        return total.hexdigest()

    def empty_classes(self, met: Collection[str]) -> list[str]:
        """The classes that have no image, given those that `entries` has `met`; [] where only a split was looked at."""
        return [] if self._split is not None else [name for name in self.classes() if name not in met]

    def unused(self) -> Mapping[str, int]:
        """How many files were passed over, by kind such as ".txt", once `entries` has come to its end."""
        return {}

    def notes(self, told: Understood) -> Iterable[str]:
        """What may have been meant otherwise, given what was counted: a sentence each, with what to do."""
        return ()

    def read_picture(self, locator: str, name: str) -> bytes:
        """The encoded bytes of a picture that goes with an entry, exactly as they are stored; BadImage as `read`."""
        raise BadImage(f"it has no {name}")

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """(n,) the list of numbers in a column of each of n entries, None where there is none.

        Raises:
            SourceError: there is no such column, or it holds no lists of numbers.
        """
        raise SourceError(
            f"{self.where} has no column {column!r}", "columns are found in Hugging Face datasets and Parquet files"
        )


def said_of(entry: Entry) -> Mapping[str, Any]:
    """The annotations of an entry: those that the source says, else those that an earlier run knew of its sample."""
    return entry.annotations or parse_annotations((entry.carried or {}).get("annotations"))


def labels_met(entry: Entry) -> Iterator[str]:
    """The classes that an entry is of or shows: its label or labels, and those of its boxes and keypoints."""
    said = said_of(entry)
    found = [entry.label, *(said.get("labels") or ()), *(said.get("soft_label") or ())]
    for thing in (*(said.get("boxes") or ()), *(said.get("keypoints") or ())):
        found.append(thing.get("label") if isinstance(thing, Mapping) else None)
    yield from (label for label in found if isinstance(label, str))


def natural(text: str) -> tuple[Any, str]:
    """A sorting key by which "2" comes before "10"."""
    words = re.split(r"(\d+)", text.casefold())
    numbers = [word.lstrip("0") for word in words[1::2]]
    return [*zip(words[::2], [(len(n), n) for n in numbers] + [(0, "")], strict=True)], text


def split_name(text: str) -> str:
    """A split's name as augforge writes it: "val" and "Valid" become "validation", unknown names stay."""
    return SPLITS.get(text.lower(), text)


def only(entries: Iterable[Entry], split: str | None, where: str) -> Iterator[Entry]:
    """The entries of one split, or all with None; SourceError after the last if the split has none."""
    wanted = None if split is None else split_name(split)
    others: set[str] = set()
    found = False
    for entry in entries:
        if wanted is None or entry.split == wanted:
            found = True
            yield entry
        elif entry.split is not None:
            others.add(entry.split)
    if wanted is not None and not found:
        raise no_split(wanted, others, where)


def no_split(wanted: str, known: Iterable[str], where: str) -> SourceError:
    """The error of a source that lacks the split that was asked for."""
    names = sorted(known)
    hint = f"it has {shortened(names)}" if names else "it has no splits: leave the option `split` out"
    return SourceError(f"{where}: there is no split {wanted!r}", hint)


def existing(value: str) -> Path:
    """The path of a file or folder that is there; SourceError, with the likely neighbour, if it is not."""
    from augforge.errors import did_you_mean

    if not value:
        raise SourceError("the path of a source is empty", "give a file or a folder")
    path = path_of(value)
    try:
        if path.exists():
            return path
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:
        raise SourceError(f"{value!r} cannot be opened: {error}", "check the path and its permissions") from error
    hint = did_you_mean(path.name, names)
    raise SourceError(
        f"there is no {value}", hint if hint.startswith("did") else f"check the path: it is seen from {Path.cwd()}"
    )


def existing_folder(value: str) -> Path:
    """As `existing`, and a folder."""
    path = existing(value)
    if not path.is_dir():
        raise SourceError(f"{value} is a file, not a folder", "give the folder that holds it")
    return path


def file_stamp(path: Path) -> str:
    """Size and time of change of a file, or what an object store says instead: other whenever it was written."""
    return stamp_of(path.stat())


def files_fingerprint(where: str, root: Path, names: Iterable[str], *options: str | None) -> str:
    """The fingerprint of a source that lies in a few files below `root`: changes whenever one of them was written."""
    return hashlib.sha256(repr((where, options, [(n, file_stamp(root / n)) for n in names])).encode()).hexdigest()
