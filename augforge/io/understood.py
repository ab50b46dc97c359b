"""What a source was understood to be: what its format says of itself, and what a listing counts, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from augforge.data.annotations import count_annotations
from augforge.data.classes import is_soft, plain, said_labels, shares_of
from augforge.data.pictures import MASK
from augforge.io.base import MISSING, labels_met, said_of

if TYPE_CHECKING:
    from augforge.io.base import Entry, Source

PLURALS = {
    "box": "boxes",
    "box that cannot be used": "boxes that cannot be used",
    "instance with keypoints": "instances with keypoints",
}
MOST = 10
"""Classes, splits or kinds of files that are named one by one."""


@dataclass(slots=True)
class Understood:
    """What a reader took a source for. `format` to `notes` are the reader's own words, the rest is counted as it lists.

    Attributes:
        where: the source as it was named, such as "data/shapes".
        format: what it is, such as "image folder".
        unused: how many files were passed over, by kind: {".txt": 2}.
        notes: what may be meant otherwise, and what to do then; a sentence each.
        classes: expected images of each class, those of announced classes without any included.
        several: images with several labels; soft: images with a soft label.
        splits: images of each split.
        things: what annotations tell of, such as {"box": 5}.
        empty: the classes of which the source has no image.
    """

    where: str
    format: str
    unused: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    images: int = 0
    unlabelled: int = 0
    several: int = 0
    soft: int = 0
    pictures: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    bad: int = 0
    missing: int = 0
    things: dict[str, int] = field(default_factory=dict)
    classes: dict[str, float] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()

    def count(self, entry: Entry) -> None:
        """Count an entry: one that an earlier run dropped, or that cannot be read, is of no class here."""
        if entry.carried is not None and entry.carried.get("kept") is False:
            self.dropped += 1
            return
        self.images += 1
        self.bad += bool(entry.problem)
        self.missing += entry.problem == MISSING
        self.pictures.update(dict.fromkeys(entry.pictures, 1))
        said = said_of(entry)
        for name, count in count_annotations(said, entry.size and entry.size[::-1]).items():
            self.things[name] = self.things.get(name, 0) + count
        shares = shares_of(entry.label, said_labels(said))
        self.unlabelled += not shares
        if entry.label is None and len(shares) > 1:
            self.soft += is_soft(shares)
            self.several += not is_soft(shares)
        for name, share in shares.items():
            self.classes[name] = self.classes.get(name, 0) + share
        if entry.split is not None:
            self.splits[entry.split] = self.splits.get(entry.split, 0) + 1

    def sentence(self) -> str:
        """All of it in one line."""
        there = {name: plain(count) for name, count in self.classes.items() if count}
        labelled = f"{_many(len(there), 'class', 'classes')}{f' ({_listed(there)})' if there else ''}"
        parts = [
            f"{self.where}: {self.format}",
            _many(self.images, "image"),
            labelled,
            f"{self.unlabelled:,} unlabelled",
        ]
        parts.append(f"splits {_listed(self.splits)}" if self.splits else "no splits")
        parts += [text for count, text in self._some() if count]
        if self.empty:
            parts.append(f"no image of {', '.join(self.empty[:MOST])}{_more(len(self.empty))}")
        if self.unused:
            parts.append(f"{_many(sum(self.unused.values()), 'file')} not used ({_kinds(self.unused)})")
        return "; ".join([", ".join(parts), *self.notes])

    def _some(self) -> tuple[tuple[int, str], ...]:
        """What is said only where there is any."""
        things = ((count, _many(count, name, PLURALS.get(name, ""))) for name, count in self.things.items())
        gone = f" ({_many(self.missing, 'image')} missing)" if self.missing else ""
        return (
            *things,
            (self.several, f"{_many(self.several, 'image')} with several labels"),
            (self.soft, f"{_many(self.soft, 'image')} with a soft label"),
            *((count, _companions(name, count)) for name, count in self.pictures.items()),
            (self.dropped, f"{self.dropped:,} more that it had dropped"),
            (self.bad, f"{self.bad:,} of them cannot be used{gone}"),
        )


def understood(source: Source) -> Understood:
    """What the reader of a source says of it, before anything is listed."""
    return Understood(source.where.partition(" ")[2] or source.where, source.format)


def understanding(source: Source, told: Understood) -> Iterator[Entry]:
    """The entries of a source, counted in `told` as they come; at their end the reader says the rest."""
    told.classes = dict.fromkeys(source.classes(), 0)
    met: set[str] = set()
    for entry in source.entries():
        told.count(entry)
        met.update(labels_met(entry))
        yield entry
    told.empty = tuple(source.empty_classes(met))
    told.unused, told.notes = source.unused(), tuple(source.notes(told))


def _companions(name: str, count: int) -> str:
    """Such as "3 masks"; other names are not in the plural of English: "3 with depth"."""
    return _many(count, "mask") if name == MASK else f"{count:,} with {name}"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _listed(counts: Mapping[str, float]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:MOST])
    return shown + _more(len(counts))


def _kinds(counts: Mapping[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in shown[:MOST]) + _more(len(counts))


def _more(count: int) -> str:
    return f", … {count - MOST:,} more" if count > MOST else ""
