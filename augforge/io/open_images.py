"""Open Images: CSV files that name images by their ids, boxes in shares of the sides, and classes by theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from augforge.data.annotations.base import RELATIVE
from augforge.errors import SourceError
from augforge.io.annotated import AnnotatedImages, classes_met, counted, files_below, folders_below
from augforge.io.base import Entry, existing, split_name
from augforge.io.columns import file_split
from augforge.io.listed import label_of
from augforge.io.listing import Listing
from augforge.io.open_images_files import (
    CORNERS,
    LABEL,
    NotesFile,
    is_list,
    is_names,
    is_notes,
    read_names,
    read_notes,
    read_subsets,
)
from augforge.io.splits import evaluation_first, path_split
from augforge.io.tree import SUFFIXES

DEEP = 2
"""Folders below each other in which the CSV files may lie."""
FLAGS = ("IsOccluded", "IsTruncated", "IsDepiction", "IsInside")
GROUP = "IsGroupOf"


class OpenImages(AnnotatedImages):
    """A folder with CSV files of boxes or of image labels, or one of them; the image of an id is `ID.jpg`, anywhere.

    Classes are called as `class-descriptions*.csv` says, else by their ids (`/m/0k4j`). A box with `IsGroupOf` is a
    crowd; the other flags that are set are its attributes. Labels of whole images count where a human confirmed them
    (`Confidence` 1); those of machines are not read. Splits are those that lists of images (`Subset`), and the names
    of the CSV files, of folders and of images tell; an evaluation split counts before all others.

    Images that CSV files name and that are not there are counted in the remarks, and are no rows: the files of Open
    Images name millions of images, of which most people have a part.
    """

    format = "Open Images"
    _looked_at = frozenset({".csv"})

    def __init__(self, value: str, *, split: str | None = None) -> None:
        given = existing(value)
        self.where = f"openimages {value}"
        self._split = split
        self._root = given if given.is_dir() else _root_of(given)
        listed = [self._root / name for name in files_below(self._root, ".csv", DEEP)]
        files = [given] if given.is_file() else list(filter(is_notes, listed))
        if not files:
            raise SourceError(f"{self.where}: no CSV file of it has ImageID and LabelName", "give one of Open Images")
        self._files = [read_notes(path, self.where) for path in files]
        self._names = _together(map(read_names, filter(is_names, listed)))
        self._subsets = _together(map(read_subsets, filter(is_list, listed)))

    def classes(self) -> list[str]:
        """The classes that are met, in natural order."""
        return classes_met(self._all)

    @property
    def remarks(self) -> list[str]:
        """Images that are named and not there, and those of which nothing is said."""
        here = {_id(locator) for locator in self._images}
        named = {image for file in self._files for image in file.runs}
        bare = [locator for locator in self._images if _id(locator) not in named]
        nameless = [] if self._names else ["no class-descriptions.csv: classes are called by their ids"]
        gone = sorted(named - here)
        return [*counted(gone, "annotated image", "not there"), *counted(bare, "image", "not annotated"), *nameless]

    def unused(self) -> Mapping[str, int]:
        """CSV files that are not read, and others that are neither these nor pictures."""
        known = {file.path for file in self._files}
        paths = (self._root / name for name in files_below(self._root, ".csv"))
        count = sum(path not in known and not is_names(path) and not is_list(path) for path in paths)
        return {**super().unused(), **({".csv": count} if count else {})}

    def _found(self) -> Iterator[Entry]:
        for locator, entry in self._images.items():
            image = _id(locator)
            files = [file for file in self._files if image in file.runs]
            label, said = self._said(image, files)
            yield replace(entry, label=label, split=self._split_of(image, locator, files), annotations=said)

    def _said(self, image: str, files: Sequence[NotesFile]) -> tuple[str | None, dict[str, Any]]:
        """Label and annotations of an image, from all files that tell of it."""
        boxes: list[dict[str, Any]] = []
        names: list[str] = []
        for file in files:
            rows = list(file.rows(image))
            if file.has_boxes:
                boxes += [self._box(row) for row in rows]
            else:
                names += [self._name(row) for row in rows if _is_sure(row)]
        label, several = label_of([*(box["label"] for box in boxes), *names])
        return label, {**several, "boxes": boxes} if any(file.has_boxes for file in files) else several

    def _box(self, row: Mapping[str, str]) -> dict[str, Any]:
        flags = {name: True for name in FLAGS if row.get(name) == "1"}
        crowd = {"iscrowd": True} if row.get(GROUP) == "1" else {}
        other = {"attributes": flags} if flags else {}
        return {
            "box": [row.get(name, "") for name in CORNERS],
            "label": self._name(row),
            RELATIVE: True,
            **crowd,
            **other,
        }

    def _name(self, row: Mapping[str, str]) -> str:
        key = row.get(LABEL, "")
        return self._names.get(key, key)

    def _split_of(self, image: str, locator: str, files: Sequence[NotesFile]) -> str | None:
        listed = self._subsets.get(image)
        told = (file_split(file.path.name) for file in files)
        return evaluation_first(split_name(listed) if listed else None, path_split(locator), *told)


def holds_open_images(listing: Listing) -> bool:
    """Whether a CSV file of Open Images lies in a folder, or in one in it."""
    return any(map(is_notes, listing.files(".csv", 1)))


def _root_of(file: Path) -> Path:
    """The folder of the images of a CSV file: its own, or the one above if there are none."""
    pictures = (name for _, names in folders_below(file.parent) for name in names)
    return file.parent if any(name.rpartition(".")[2].lower() in SUFFIXES for name in pictures) else file.parent.parent


def _together(found: Iterable[dict[str, str]]) -> dict[str, str]:
    return {key: value for each in found for key, value in each.items()}


def _id(locator: str) -> str:
    """The id of an image: the name of its file without the suffix."""
    name = locator.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _is_sure(row: Mapping[str, str]) -> bool:
    """Whether a label of a whole image is confirmed."""
    try:
        return float(row.get("Confidence", "1") or 1) >= 1
    except ValueError:
        return False
