"""Several parts that are written at once: rows of one look into an image that go to different places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.data.mirror import Commit
from augforge.data.parts import Parts, Target, Writer

TO, ROW = "to", "row"


def addressed(number: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the parts of this number in a bundle."""
    return [{TO: number, ROW: row} for row in rows]


class Bundle:
    """Parts that are written at once: the first ones are those by which it is told what is missing."""

    def __init__(self, parts: Sequence[Parts]) -> None:
        self.parts = tuple(parts)

    @property
    def folder(self) -> Path:
        """Of the first ones."""
        return self.parts[0].folder

    @property
    def target(self) -> Target:
        """As `Parts.target`, of `addressed` rows."""
        return BundleTarget(tuple(parts.target for parts in self.parts))

    @contextmanager
    def writing(self) -> Iterator[BundleWriter]:
        """As `Parts.writing`, of `addressed` rows."""
        with ExitStack() as stack:
            yield BundleWriter([stack.enter_context(parts.writing()) for parts in self.parts])


class BundleWriter:
    """As `Writer`, of `addressed` rows."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = writers

    def add(self, rows: Sequence[Mapping[str, Any]], size: int = 0) -> None:
        """Take rows that belong together."""
        for number, own in _divided(rows).items():
            self._writers[number].add(own, size)


@dataclass(frozen=True, slots=True)
class BundleTarget:
    """The target of a bundle."""

    targets: tuple[Target, ...]

    @property
    def folder(self) -> Path:
        """Of the first."""
        return self.targets[0].folder

    def write(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """As `Target.write`, the first ones last: what is not missing there is nowhere."""
        divided = _divided(rows)
        written = [self.targets[number].write(divided[number]) for number in sorted(divided, reverse=True)]
        return written[-1]

    def by(self, commit: Commit) -> BundleTarget:
        """As `Target.by`."""
        return BundleTarget(tuple(target.by(commit) for target in self.targets))


def _divided(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    own: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        own.setdefault(row[TO], []).append(row[ROW])
    return own
