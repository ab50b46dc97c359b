"""YOLO: a text file of labels for every image, and `data.yaml` with the classes and the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from augforge.errors import BadImage, SourceError
from augforge.io.annotated import (
    AnnotatedImages,
    classes_met,
    counted,
    files_below,
    normal,
    one_split,
)
from augforge.io.base import MISSING, Entry, existing, existing_folder, file_stamp, split_name
from augforge.io.columns import file_split
from augforge.io.listed import label_of
from augforge.io.listing import Listing
from augforge.io.splits import path_split
from augforge.io.tree import SUFFIXES, printable
from augforge.io.yolo_data import NO_LABELS, USUAL, YoloData, is_data_file, names_beside, read_data_file
from augforge.io.yolo_lines import looks_like_labels, read_lines
from augforge.io.yolo_writer import YoloWriter
from augforge.remote.places import is_there

IMAGES, LABELS = "images", "labels"
DEEP = 3
"""Folders below a source in which label files are looked for to tell its kind."""
PEEKED = 20


class Yolo(AnnotatedImages):
    """A folder with `data.yaml`, that file, or a folder with `images` and `labels`; of boxes, polygons, or keypoints.

    The labels of `a/images/b/1.jpg` are `a/labels/b/1.txt`, and lie beside an image that is in no folder `images`.
    Coordinates are of the upright picture. An image without a label file has no boxes if others of its folder have
    one; else nothing is known of it. A polygon is the outline of its box; five numbers and `kpt_shape` are keypoints.

    The splits are those of `data.yaml`: folders, lists of folders, or lists of images in text files; else those that
    the names of folders and files tell. `path` is the folder that its paths start from, if that is not its own.
    """

    writer = YoloWriter
    format = "YOLO"
    _looked_at = frozenset({".txt", ".yaml", ".yml", ".names"})

    def __init__(self, value: str, *, split: str | None = None, path: str | None = None) -> None:
        given = existing(value)
        self.where = f"yolo {value}"
        self._split, self._options = split, (path,)
        self._root = given if given.is_dir() else given.parent
        file = _data_file(given, self.where)
        self._data = read_data_file(file, self.where) if file else YoloData(names_beside(self._root))
        if path is not None:
            self._root = existing_folder(path)
        self._options += (file_stamp(file) if file else None,)
        self._missing: list[str] = []

    def classes(self) -> list[str]:
        """The classes of `data.yaml` or `classes.txt`, in their order; else the numbers that are met."""
        return list(dict.fromkeys(self._data.names.values())) or classes_met(self._all)

    @property
    def remarks(self) -> list[str]:
        """Label files without an image, images in no split, folders that are not there, classes without a name."""
        known = {_label_path(locator) for locator in self._images}
        lost = [text for text in self._texts if self._is_label(text) and text not in known]
        used = {entry.locator for entry in self._all}
        unused = [locator for locator in self._images if locator not in used]
        found = counted(lost, "label file", "of no image")
        found += counted(unused, "image", f"in no split of {self._manifest}")
        found += [f"{self._manifest} names {name}, which is not there" for name in self._missing]
        return found if self._data.names else [*found, "no file names the classes: they are called by their numbers"]

    @property
    def _manifest(self) -> str:
        return self._data.file or "the lists"

    @cached_property
    def _texts(self) -> dict[str, None]:
        """The paths of all text files below the root."""
        return dict.fromkeys(files_below(self._root, ".txt"))

    @cached_property
    def _labelled(self) -> set[str]:
        """The folders of label files that hold one of an image."""
        paths = map(_label_path, self._images)
        return {path.rpartition("/")[0] for path in paths if path in self._texts}

    def _is_label(self, text: str) -> bool:
        folder, _, name = text.rpartition("/")
        return (folder in self._labelled or LABELS in folder.split("/")) and name.lower() not in NO_LABELS

    def _found(self) -> Iterator[Entry]:
        for locator, split in self._places():
            entry = self._images.get(locator)
            yield self._annotated(self._other(locator, split) if entry is None else replace(entry, split=split))

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        return {entry.locator: entry.pictures for entry in self._all if entry.pictures}

    def _annotated(self, entry: Entry) -> Entry:
        path = _label_path(entry.locator)
        if path not in self._texts:
            known = path.rpartition("/")[0] in self._labelled and not self._records
            return replace(entry, annotations={"boxes": []}) if known else entry
        try:
            boxes, points = read_lines(self.read(path).decode("utf-8-sig", errors="replace"), self._data)
        except BadImage as error:
            return replace(entry, problem=entry.problem or f"its labels: {error.message}")
        label, several = label_of(box["label"] for box in boxes if isinstance(box, dict))
        said = {**several, "boxes": boxes} | ({"keypoints": points} if points else {})
        return replace(entry, label=label, annotations=said)

    def _places(self) -> Iterator[tuple[str, str | None]]:
        """The locators of all images with their splits."""
        listed = {} if self._records else self._listed()
        if not listed:
            yield from ((locator, path_split(locator)) for locator in self._images)
            return
        for locator, named in listed.items():
            yield locator, one_split(locator, named, self._split is not None, f"{self.where}: {self._manifest}")

    def _listed(self) -> dict[str, list[str]]:
        """The splits in which `data.yaml`, or else lists such as `train.txt` beside the images, name an image."""
        self._missing = []
        named: dict[str, list[str]] = {}
        splits = self._data.splits or self._lists()
        for key, places in splits.items():
            for place in places:
                for locator in self._in_place(place):
                    named.setdefault(locator, []).append(split_name(key))
        if self._data.splits and not named:
            raise SourceError(
                f"{self.where}: there is no image where {self._data.file} says: {', '.join(self._named_places())}",
                "give the folder that its paths start from with the option path",
            )
        return named

    def _named_places(self) -> list[str]:
        return [place for places in self._data.splits.values() for place in places]

    def _lists(self) -> dict[str, list[str]]:
        """The lists of images at the top that are named as splits, such as `train.txt` and `val2017.txt`."""
        found: dict[str, list[str]] = {}
        for text in self._texts:
            split = None if "/" in text else file_split(text)
            if split is not None and any(locator in self._images for locator in self._in_list(text)):
                found.setdefault(split, []).append(text)
        return found

    def _in_place(self, place: str) -> Iterator[str]:
        """The images of a folder or a list of images that a split names."""
        path = next((p for p in self._candidates(place) if is_there(self._root / p)), None)
        if path is None or self._look(path)[1] not in ("", MISSING):
            self._missing.append(place)
        elif (self._root / path).is_file():
            yield from self._in_list(path)
        else:
            above = "" if path == "." else f"{path}/"
            yield from (locator for locator in self._images if locator.startswith(above) or locator == path)

    def _candidates(self, place: str) -> Iterator[str]:
        """Where a folder or list may lie below the root: from `path`, from the root, or, of a path that leads out of
        it (`../train/images`, or one of another machine), the longest end that is there.
        """
        paths = [normal(place, self._data.base), normal(place)]
        yield from (path for path in paths if not path.startswith(("/", "..")))
        parts = [part for part in paths[-1].split("/") if part not in ("", "..")]
        yield from ("/".join(parts[start:]) for start in range(len(parts)))

    def _in_list(self, path: str) -> Iterator[str]:
        beside = path.rpartition("/")[0]
        for line in self.read(path).decode("utf-8-sig", errors="replace").splitlines():
            if name := line.strip():
                ends = [end for end in self._candidates(name) if "/" in end or end == name]
                places = [normal(name, self._data.base), normal(name, beside), normal(name), *ends]
                yield next((place for place in places if place in self._images), printable(normal(name)))


def _data_file(given: Path, where: str) -> Path | None:
    """`data.yaml` of a folder, or another YAML file of that kind; the file itself if it was given."""
    if given.is_file():
        return given
    found = [path for path in sorted(given.iterdir()) if is_data_file(path)]
    usual = [path for path in found if path.stem.lower() in USUAL]
    if len(found) > 1 and len(usual) != 1:
        names = ", ".join(path.name for path in found)
        raise SourceError(f"{where}: several files tell of the data: {names}", "give one of them instead of the folder")
    return next(iter(usual or found), None)


def _label_path(locator: str) -> str:
    """The path of the label file of an image: in `labels` in place of the last folder `images`, or beside it."""
    folder, _, name = locator.rpartition("/")
    parts = folder.split("/") if folder else []
    if IMAGES in parts:
        parts[len(parts) - 1 - parts[::-1].index(IMAGES)] = LABELS
    stem = name.rpartition(".")[0] or name
    return "/".join([*parts, f"{stem}.txt"])


def holds_yolo(listing: Listing) -> bool:
    """Whether a folder has a data file of YOLO, or label files in `labels` or beside images of their names."""
    if any(map(is_data_file, listing.files((".yaml", ".yml"), 0))):
        return True
    contents = (content for text in _label_files(listing) if (content := _content(listing.root / text)).strip())
    first = list(islice(contents, PEEKED))
    good = sum(map(looks_like_labels, first))
    return good > 0 and 2 * good >= len(first)  # a few malformed lines cost their boxes, not the kind


def _label_files(listing: Listing) -> Iterator[str]:
    """The text files that lie where label files do, folder by folder."""
    for above, names, _ in listing.folders(DEEP):
        texts = {name[:-4] for name in names if name.lower().endswith(".txt") and name.lower() not in NO_LABELS}
        if texts and LABELS not in above.split("/"):
            texts &= {name.rpartition(".")[0] for name in names if name.rpartition(".")[2].lower() in SUFFIXES}
        yield from (f"{above}{stem}.txt" for stem in sorted(texts))


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
