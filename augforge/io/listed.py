"""What readers share whose annotation files list the images of a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.errors import BadImage
from augforge.io.base import MISSING, Entry, Source
from augforge.remote.places import is_link, stamp_of, stat_of

if TYPE_CHECKING:
    from augforge.io.understood import Understood

LEADS_OUT = "its name leads out of the source"


class ListedImages(Source):
    """Image files below `_root`; a locator is a path inside of it, and never leads out."""

    _root: Path

    @cached_property
    def _real(self) -> Path:
        return self._root.resolve()

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the source, a sentence each."""
        return []

    def notes(self, told: Understood) -> list[str]:
        """The remarks."""
        return self.remarks

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        """The paths of the pictures that go with images, by the locators of these and by their names."""
        return {}

    @property
    def _gone(self) -> list[str]:
        """The paths of those of them that are not there."""
        paths = dict.fromkeys(path for named in self._beside_images().values() for path in named.values())
        return [path for path in paths if self._look(path)[1]]

    def _stamps(self, pictures: Mapping[str, str]) -> dict[str, str]:
        """`Entry.pictures` of an image, from the paths of what goes with it."""
        return {name: f"{path} {self._look(path)[0]}" for name, path in pictures.items()}

    def read(self, locator: str) -> bytes:
        """The bytes of a file; BadImage if it is gone, unreadable or outside of the folder."""
        if self._leads_out(locator):
            raise BadImage(LEADS_OUT)
        try:
            return (self._root / locator).read_bytes()
        except FileNotFoundError as error:
            raise BadImage(MISSING) from error
        except (OSError, ValueError) as error:
            raise BadImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def read_picture(self, locator: str, name: str) -> bytes:
        """The bytes of a picture that belongs to a file."""
        path = self._beside_images().get(locator, {}).get(name)
        return super().read_picture(locator, name) if path is None else self.read(path)

    def _look(self, locator: str) -> tuple[str, str]:
        """Stamp and problem of a file."""
        try:
            if self._leads_out(locator):
                return "", LEADS_OUT
            facts = stat_of(f"{self._root}/{locator}")
        except (FileNotFoundError, NotADirectoryError):
            return "", MISSING
        except (OSError, ValueError) as error:
            return "", f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return (stamp_of(facts), "") if stat.S_ISREG(facts.st_mode) else ("", MISSING)

    def _leads_out(self, locator: str) -> bool:
        parts = locator.replace("\\", "/").split("/")
        if ".." in parts or "" in parts or "\0" in locator:
            return True
        real, inside = self._folder(locator.rpartition("/")[0])
        if is_link(f"{real}/{parts[-1]}"):
            return not (self._root / locator).resolve().is_relative_to(self._real)
        return not inside

    def _folder(self, inside: str) -> tuple[str, bool]:
        """The real path of a folder below the root, and whether it lies in there. Found once for all of its files."""
        if inside not in self._folders:
            real = (self._root / inside).resolve()
            self._folders[inside] = str(real), real.is_relative_to(self._real)
        return self._folders[inside]

    @cached_property
    def _folders(self) -> dict[str, tuple[str, bool]]:
        return {}

    def _first_there(self, bases: Iterable[str], names: Iterable[str]) -> str:
        """The first of some folders ("a/", or "") in which one of the named files lies; the last if none has it."""
        listed, base = list(names), ""
        for base in bases:
            if any(not self._look(f"{base}{name}")[1] for name in listed):
                return base
        return base


def label_of(names: Iterable[str]) -> tuple[str | None, dict[str, list[str]]]:
    """The one label of an image whose things are of the classes `names`, or several labels as an annotation."""
    different = list(dict.fromkeys(names))
    if len(different) > 1:
        return None, {"labels": different}
    return (different[0] if different else None), {}


def twice(entries: Iterable[Entry]) -> Iterable[Entry]:
    """The entries; of those with one locator, all but the first have that problem."""
    from dataclasses import replace

    met: set[str] = set()
    for entry in entries:
        known = entry.locator in met
        met.add(entry.locator)
        yield replace(entry, problem=entry.problem or "it is listed twice") if known else entry
