"""Sources that say something else of the images of another source: their class, or their split."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import Annotations, dump_annotations, parse_annotations
from augforge.data.ids import key
from augforge.io.base import Entry, Source, only

if TYPE_CHECKING:
    from augforge.io.understood import Understood


class Wrapped(Source):
    """A source that reads what another one reads."""

    def __init__(self, source: Source) -> None:
        self.where, self.format = source.where, source.format  # type: ignore[misc]  # that of what it wraps
        self._source = source

    def classes(self) -> list[str]:
        """As the source."""
        return self._source.classes()

    def unused(self) -> Mapping[str, int]:
        """As the source."""
        return self._source.unused()

    def read(self, locator: str) -> bytes:
        """As the source."""
        return self._source.read(locator)

    def read_picture(self, locator: str, name: str) -> bytes:
        """As the source."""
        return self._source.read_picture(locator, name)

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """As the source."""
        return self._source.numbers(locators, column)


class OneClass(Wrapped):
    """A source all of whose images are of one class, whatever it says itself; "" takes their labels away.

    What it says of several labels or a soft label is left out.
    """

    def __init__(self, source: Source, label: str) -> None:
        super().__init__(source)
        self._label = label or None

    def classes(self) -> list[str]:
        """The one class."""
        return [] if self._label is None else [self._label]

    def entries(self) -> Iterator[Entry]:
        """The entries of the source, of the one class or of none."""
        for entry in self._source.entries():
            carried = None if entry.carried is None else {**entry.carried, "labelled_by": None}
            if carried and carried.get("annotations"):
                carried["annotations"] = dump_annotations(_without_labels(parse_annotations(carried["annotations"])))
            said = _without_labels(entry.annotations)
            yield replace(entry, label=self._label, carried=carried, annotations=said)

    def fingerprint(self) -> str:
        """That of the source, and the class."""
        return key("one class", self._source.fingerprint(), self._label)


def _without_labels(annotations: Annotations) -> dict[str, Any]:
    return {name: value for name, value in annotations.items() if name not in ("labels", "soft_label")}


class NamedSplit(Wrapped):
    """A source whose own name is that of an evaluation split: its images are of it, unless it says otherwise.

    `wanted` is the split that alone is read, where it is the one that the name says.
    """

    def __init__(self, source: Source, split: str, wanted: str | None) -> None:
        super().__init__(source)
        self._named, self._split = split, wanted
        self._count = 0

    def entries(self) -> Iterator[Entry]:
        """The entries of the source; those of no split are of the one that its name says."""
        self._count = 0
        yield from only(self._entries(), self._split, self.where)

    def _entries(self) -> Iterator[Entry]:
        for entry in self._source.entries():
            self._count += entry.split is None
            yield entry if entry.split is not None else replace(entry, split=self._named)

    def fingerprint(self) -> str:
        """That of the source, and the split."""
        return key("named split", self._source.fingerprint(), self._named, self._split)

    def empty_classes(self, met: Collection[str]) -> list[str]:
        """As the source."""
        return super().empty_classes(met) if self._split is not None else self._source.empty_classes(met)

    def notes(self, told: Understood) -> Iterable[str]:
        """What the source says, and where the split comes from."""
        yield from self._source.notes(told)
        if self._count:
            yield (
                f"its own name makes them the split {self._named!r}, of which nothing is generated or trained; "
                "a recipe's source can say splits: false, if it is not"
            )
