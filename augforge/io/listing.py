"""What lies below a folder, listed once for all who want to find out what kind of source it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from augforge.io.annotated import is_shown, leads_on
from augforge.io.base import natural
from augforge.io.stamps import is_folder
from augforge.remote.places import path_of, scandir

MOST_FOLDERS = 300
"""Folders that are looked into: the nearest first, and those of different folders in turn."""


class Below(NamedTuple):
    """A folder: its path below the root ("" or "a/b/"), the names of its files, and whether a link leads to it."""

    above: str
    files: list[str]
    linked: bool = False

    @property
    def depth(self) -> int:
        """0 for the root."""
        return self.above.count("/")


class Listing:
    """The folders below `root` and the files in them, level by level, as far as anyone asks.

    Hidden files are passed over, and links to folders that lead out of the root or back up.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: list[Below] = []
        self._walk = self._walking()

    @cached_property
    def top(self) -> Below:
        """The root itself."""
        return next(self.folders(0))

    def folders(self, depth: int | None = None) -> Iterator[Below]:
        """The root and the folders below it, down to `depth`, the nearest first."""
        place = 0
        while True:
            if place == len(self._found):
                further = next(self._walk, None)
                if further is None:
                    return
                self._found.append(further)
            found = self._found[place]
            if depth is not None and found.depth > depth:
                return
            yield found
            place += 1

    def files(self, suffixes: str | Collection[str], depth: int | None = None) -> Iterator[Path]:
        """The files of one suffix (".txt") or of several in these folders."""
        wanted = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
        for found in self.folders(depth):
            matching = sorted(name for name in found.files if name.lower().endswith(wanted))
            yield from (self.root / (found.above + name) for name in matching)

    def _walking(self) -> Iterator[Below]:
        real, left = self.root.resolve(), MOST_FOLDERS
        met, level = {real}, iter([Below("", [])])
        while True:
            inner: list[list[Below]] = []
            for below in level:
                if not left:
                    return
                left -= 1
                inner.append(self._look(below, real, met))
                yield below
            if not any(inner):
                return
            level = _in_turn(inner)

    def _look(self, below: Below, real: Path, met: set[Path]) -> list[Below]:
        """Find the files in a folder; the folders in it, in natural order."""
        inside: list[Below] = []
        try:
            with scandir(f"{self.root}/{below.above}") as found:
                for entry in found:
                    if not is_shown(entry.name):
                        continue
                    if not is_folder(entry):
                        below.files.append(entry.name)
                    elif not entry.is_symlink():
                        inside.append(Below(f"{below.above}{entry.name}/", [], below.linked))
                    elif leads_on(path_of(entry.path), real, met):
                        inside.append(Below(f"{below.above}{entry.name}/", [], True))
        except OSError:
            return []  # what cannot be looked into says nothing of what it is
        return sorted(inside, key=lambda one: natural(one.above))


def _in_turn(lists: Iterable[list[Below]]) -> Iterator[Below]:
    """The first of each list, then the second of each, and so on."""
    yield from filter(None, chain.from_iterable(zip_longest(*lists)))
