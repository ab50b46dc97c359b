"""What readers share of folders in which every image has an annotation file of its own, or one file tells of all."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from augforge.data.sample import is_evaluation
from augforge.errors import SourceError
from augforge.io.base import Entry, labels_met, natural, only
from augforge.io.listed import ListedImages, twice
from augforge.io.records import EXPORTED, Records
from augforge.io.splits import folder_split
from augforge.io.stamps import stamps
from augforge.io.tree import Tree
from augforge.remote.places import path_of, walk

if TYPE_CHECKING:
    from augforge.io.understood import Understood


class AnnotatedImages(ListedImages):
    """The images below `_root` with what annotation files say of them. A locator is a path below the root."""

    _split: str | None
    _options: tuple[str | None, ...] = ()
    _looked_at: ClassVar[frozenset[str]] = frozenset()
    """The suffixes of the files besides pictures that are read; others are not used."""

    @abstractmethod
    def _found(self) -> Iterator[Entry]:
        """Every image, of all splits, and rows with a problem for annotations whose image is not there."""

    def entries(self) -> Iterator[Entry]:
        """Folder by folder, file by file; then those that annotation files name and that are not there."""
        yield from only(iter(self._all), self._split, self.where)

    @cached_property
    def _all(self) -> list[Entry]:
        found = twice(self._found())
        return list(self._records.annotate(found) if self._records else found)

    @cached_property
    def _records(self) -> Records:
        """What augforge wrote beside the images, if it did; it says more than the annotations."""
        return Records(self._root, (), self.where)

    @cached_property
    def _pictures(self) -> dict[str, Entry]:
        """All picture files below the root, by their locators."""
        tree = self._tree
        below = (entry for folder in tree.folders("") for entry in tree.below(folder, None, None))
        return {entry.locator: entry for entry in (*tree.files("", None), *below)}

    @cached_property
    def _tree(self) -> Tree:
        tree = Tree(str(self._root), self.where)
        tree.known = EXPORTED if self._records else frozenset()
        return tree

    def unused(self) -> Mapping[str, int]:
        """Files that are neither pictures nor annotations; pictures without a use are in the remarks."""
        ignored = self._tree.ignored if self._pictures else {}
        return {kind: count for kind, count in ignored.items() if kind not in self._looked_at}

    @cached_property
    def _images(self) -> dict[str, Entry]:
        """The images among them, not annotated yet: without the pictures that go with those of an export."""
        beside = self._records.beside
        return {path: entry for path, entry in self._pictures.items() if path not in beside}

    def _other(self, locator: str, split: str | None) -> Entry:
        """A row for what an annotation file names and is no picture by its ending: mostly, it is not there."""
        stamp, problem = self._look(locator)
        return Entry(locator, None, split, stamp, problem=problem)

    @property
    def remarks(self) -> list[str]:
        """What a user has to know of the source beyond its entries, a sentence each."""
        return []

    def notes(self, told: Understood) -> list[str]:
        """The remarks."""
        return self.remarks

    def fingerprint(self) -> str:
        """Changes whenever a file below the root was written, added or removed; costs a listing."""
        total = hashlib.sha256(repr((self.where, self._split, *self._options)).encode())
        for line in stamps(str(self._root), lambda real: path_of(real).is_relative_to(self._real)):
            total.update(line)
        return total.hexdigest()


def files_below(root: Path, suffix: str, depth: int | None = None) -> Iterator[str]:
    """The paths of all files of a suffix (".txt") in `folders_below`, in natural order."""
    for above, names in folders_below(root, depth):
        yield from (above + name for name in sorted((n for n in names if n.lower().endswith(suffix)), key=natural))


def folders_below(root: Path, depth: int | None = None) -> Iterator[tuple[str, list[str]]]:
    """A folder and all folders below it, in natural order: its path ("" or "a/b/"), and the names of its files.

    Hidden ones are passed over, and links to folders that lead out of the root or back up. With `depth`, folders that
    lie deeper than that are not looked into.
    """
    real, met = root.resolve(), {root.resolve()}
    for folder, folders, files in walk(root, followlinks=True):
        inside = path_of(folder).relative_to(root).as_posix().removeprefix(".")
        above = f"{inside}/" if inside else ""
        deep = depth is not None and above.count("/") >= depth
        shown = [] if deep else sorted(filter(is_shown, folders), key=natural)
        folders[:] = [name for name in shown if leads_on(path_of(folder) / name, real, met)]
        yield above, list(filter(is_shown, files))


def leads_on(folder: Path, root: Path, met: set[Path]) -> bool:
    """Whether a folder is to be entered: it is none that a link shows again, or outside of the root."""
    if not folder.is_symlink():
        return True
    real = folder.resolve()
    if real in met or not real.is_relative_to(root) or folder.parent.resolve().is_relative_to(real):
        return False
    met.add(real)
    return True


def is_shown(name: str) -> bool:
    """Whether a file or folder counts: it is not hidden, and its name is no path."""
    return not name.startswith(".") and name != "__MACOSX" and "\\" not in name


def normal(path: str, beside: str = "") -> str:
    """A path that a file in the folder `beside` names, seen from the root: parts of "." and ".." are gone.

    What leads out of the root begins with "../" still, and is never found.
    """
    return os.path.normpath(os.path.join(beside, path.replace("\\", "/").strip()))  # noqa: PTH118  # of texts


def counted(found: Sequence[str], thing: str, said: str, things: str = "") -> list[str]:
    """A remark on what was found, such as "2 images are not annotated, the first is a.png"; [] where that is nothing.

    `things` is the plural of `thing`, if that is more than an s.
    """
    if len(found) == 1:
        return [f"1 {thing} is {said}: {found[0]}"]
    return [f"{len(found):,} {things or f'{thing}s'} are {said}, the first is {found[0]}"] if found else []


def one_split(locator: str, named: Sequence[str], asked: bool, manifest: str) -> str:
    """The split of an image that `manifest`, such as "coco: data.yaml", puts into these splits.

    Raises:
        SourceError: it is trained on, and is in an evaluation split too; or it lies in a folder that is named as one,
            and the user has not `asked` for a split.
    """
    evaluated = list(filter(is_evaluation, named))
    trained = [split for split in named if split not in evaluated]
    if trained and evaluated:
        raise SourceError(
            f"{manifest} puts {locator} into {trained[0]} and into {evaluated[0]}",
            "what is evaluated on must not train: take it out of one of them",
        )
    folder = next(filter(is_evaluation, map(folder_split, locator.split("/")[:-1])), None)
    if trained and folder and not asked:
        raise SourceError(
            f"{manifest} puts {locator} into {trained[0]}, and its folder is named as {folder}",
            f"to train on it all the same, read that split alone with the option split: {trained[0]}",
        )
    return named[0]


def classes_met(entries: Sequence[Entry]) -> list[str]:
    """The classes of the boxes and labels of entries, in natural order."""
    met = {label for entry in entries for label in labels_met(entry)}
    return sorted(met, key=natural)
