"""Pascal VOC: an XML file for every image, and lists of the images of each split in `ImageSets`.

The devkit counts pixels from 1, and both corners of a box lie in it: (xmin, ymin, xmax, ymax) = (2, 3, 20, 30) are the
columns 2 to 20 and the rows 3 to 30. Here that is (x0, y0, x1, y1) = (1, 2, 20, 30): px counted from 0, the second
corner beyond the last pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from xml.etree.ElementTree import Element

from augforge.errors import BadImage, SourceError
from augforge.io.annotated import AnnotatedImages, classes_met, counted, files_below, normal, one_split
from augforge.io.base import Entry, existing_folder
from augforge.io.listed import label_of
from augforge.io.listing import Listing
from augforge.io.sizes import said_size
from augforge.io.splits import path_split
from augforge.io.voc_objects import box_of
from augforge.io.voc_sets import SETS, ImageSets
from augforge.io.voc_writer import FOLDERS, VocWriter
from augforge.io.xml import parsed, root_name, text

PICTURES = ("JPEGImages", "images", "Images")
"""The folders, beside that of the annotations, in which images are looked for."""
NOTES = frozenset({"Annotations", "annotations"})
FIRST = {"inclusive": 1, "exclusive": 0}
DEEP = 3
PEEKED = 20


class Voc(AnnotatedImages):
    """A folder of XML files: `Annotations` beside `JPEGImages`, as in the devkit, or each beside its image.

    An XML file belongs to the image of its name, or to the one that its `filename` names. Boxes are counted from 0
    and end beyond their last pixel: x0 = xmin - 1, y0 = ymin - 1, x1 = xmax, y1 = ymax (`corners: inclusive`); files
    of tools that count from 0 and end beyond the last pixel are read as they are with `corners: exclusive`. Two corners
    in the other order are the same box. Coordinates are of the upright picture.

    Splits are those of `ImageSets/Main` (`trainval` alone is training), else those that names of folders and files
    tell. `SegmentationClass/NAME.png` is the mask, `SegmentationObject/NAME.png` shows the instances. `difficult`,
    `truncated`, `occluded`, `pose` and all else that is said of an object are attributes of its box. An image without
    an XML file is not annotated.
    """

    writer = VocWriter
    format = "Pascal VOC"
    declares_sizes = True
    _looked_at = frozenset({".xml", ".txt"})

    def __init__(self, value: str, *, split: str | None = None, corners: str = "inclusive") -> None:
        if corners not in FIRST:
            raise SourceError(f"voc {value}: there are no corners {corners!r}", f"choose {' or '.join(FIRST)}")
        self.where = f"voc {value}"
        self._root = existing_folder(value)
        self._split, self._options = split, (corners,)
        self._first = FIRST[corners]
        self._with_parts: dict[str, None] = {}

    def classes(self) -> list[str]:
        """The classes that are met, in natural order; of an export its own."""
        return self._records.classes() or classes_met(self._all)

    @property
    def remarks(self) -> list[str]:
        """Images of which nothing is said, listed images that are not there, and what is not read."""
        bare = [entry.locator for entry in self._all if entry.locator not in self._told]
        loose = [locator for locator in self._images if self._sets.named and locator not in self._sets.named]
        used = set(self._told.values())
        doubled = [path for path in self._files if path not in used]
        gone, inside = list(self._sets.unknown), self._unread
        return [
            *counted(bare, "image", "not annotated"),
            *counted(doubled, "XML file", "of an image that another one tells of"),
            *counted(loose, "image", f"in no list of {SETS}"),
            *counted(gone, "name", f"in a list of {SETS}, but of no image"),
            *counted(list(self._with_parts), "XML file", "read without the parts of its objects", "XML files"),
            *counted(inside, "picture", "not read"),
        ]

    @property
    def _unread(self) -> list[str]:
        """Pictures in folders of masks that go with no image."""
        beside = {path for there in self._beside_images().values() for path in there.values()}
        return [path for path in self._pictures if path not in self._images and path not in beside]

    @cached_property
    def _images(self) -> dict[str, Entry]:
        """The pictures that are no masks, as those in the folders of the annotations are."""
        told, beside = {path.rpartition("/")[0] for path in self._files}, self._records.beside
        shown = {path: entry for path, entry in self._pictures.items() if path not in beside}
        return {path: entry for path, entry in shown.items() if not _is_mask(path.rpartition("/")[0], told)}

    @cached_property
    def _stems(self) -> dict[str, str]:
        """The locators of the images by their paths without a suffix."""
        return {locator.rpartition(".")[0]: locator for locator in reversed(self._images)}

    @cached_property
    def _told(self) -> dict[str, str]:
        """The paths of the XML files by the locators of their images, which need not be there."""
        found: dict[str, str] = {}
        named = {path: self._named_as(path) for path in self._files}
        for path, image in named.items():
            if image is not None:
                found.setdefault(image, path)
        for path, image in named.items():
            if image is None:
                mirrored = self._mirrored(path)
                free = mirrored is not None and mirrored not in found
                found.setdefault(mirrored if mirrored and free else self._image_in(path), path)
        return found

    @cached_property
    def _files(self) -> list[str]:
        return list(files_below(self._root, ".xml"))

    def _named_as(self, path: str) -> str | None:
        """The locator of the image with the name of an XML file; None if there is none."""
        folder, _, name = path.rpartition("/")
        return next(filter(None, (self._find(base, name[:-4]) for base in _bases(folder))), None)

    def _mirrored(self, path: str) -> str | None:
        """The only image with the name of an XML file in a folder called as that of the file, as in
        `Annotations/train/1.xml` and `Data/train/1.jpg`: the one with the longest common end of the path.
        """
        tails = [path[:-4].split("/")[start:] for start in range(path.count("/"))]
        for tail in tails:
            images = [
                image
                for image in self._by_name.get(tail[-1], ())
                if f"/{image}".rpartition(".")[0].endswith("/" + "/".join(tail))
            ]
            if images:
                return images[0] if len(images) == 1 else None
        return None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for locator in self._images:
            found.setdefault(locator.rpartition("/")[2].rpartition(".")[0], []).append(locator)
        return found

    def _image_in(self, path: str) -> str:
        """The locator of the image that an XML file names, which need not be there."""
        named = self._file_name(path)
        places = [normal(named, place) for place in _places(path.rpartition("/")[0])] if named else []
        return next((place for place in places if place in self._images), (places or [f"{path}#image"])[0])

    def _find(self, base: str, name: str) -> str | None:
        """The locator of an image by its name without a suffix, or with one, in the usual folders of `base`."""
        for place in (*(f"{base}{folder}/{name}" for folder in PICTURES), f"{base}{name}"):
            if found := self._stems.get(place) or (place if place in self._images else None):
                return found
        return None

    def _file_name(self, path: str) -> str:
        try:
            return text(self._parsed(path), "filename")
        except (BadImage, ValueError):
            return ""

    def _parsed(self, path: str) -> Element:
        root = parsed(self.read(path))
        if root.tag != "annotation":
            raise ValueError(f"its root is {root.tag!r}, not annotation")
        return root

    def _found(self) -> Iterator[Entry]:
        for locator, entry in self._images.items():
            bare = replace(entry, split=self._split_of(locator), pictures=self._stamps(self._beside(locator)))
            yield self._annotated(bare, self._told[locator]) if locator in self._told else bare
        for locator, path in self._told.items():
            if locator not in self._images:
                other = self._other(locator, self._split_of(locator))
                told = self._annotated(replace(other, problem=""), path)
                yield replace(told, problem=told.problem or other.problem)

    def _annotated(self, entry: Entry, path: str) -> Entry:
        try:
            root = self._parsed(path)
        except (BadImage, ValueError) as error:
            return replace(entry, problem=entry.problem or f"its annotation {path} is damaged: {error}")
        if root.find("object/part") is not None:
            self._with_parts[path] = None
        boxes = [box_of(thing, self._first) for thing in root.iterfind("object")]
        label, several = label_of(box["label"] for box in boxes if "label" in box)
        size = said_size(text(root, "size/width"), text(root, "size/height"))
        return replace(entry, label=label, annotations={**several, "boxes": boxes}, size=size)

    def _split_of(self, locator: str) -> str | None:
        named = self._sets.named.get(locator)
        if named is None:
            return path_split(locator)
        return one_split(locator, named, self._split is not None, f"{self.where}: {SETS}")

    @cached_property
    def _sets(self) -> ImageSets:
        return ImageSets(files_below(self._root, ".txt"), self._lines, self._find)

    def _lines(self, path: str) -> list[str]:
        return self.read(path).decode("utf-8-sig", errors="replace").splitlines()

    def _beside(self, locator: str) -> dict[str, str]:
        """The paths of the mask of an image and of its instances, if they are there; and of what an export names."""
        folder, _, name = locator.rpartition("/")
        paths = {kind: f"{_above(folder)}{base}/{name.rpartition('.')[0]}.png" for kind, base in FOLDERS.items()}
        usual = {kind: path for kind, path in paths.items() if path in self._pictures}
        return {**self._records.pictures(locator), **usual}

    def _beside_images(self) -> Mapping[str, Mapping[str, str]]:
        return {locator: there for locator in self._images if (there := self._beside(locator))}


def _is_mask(folder: str, told: set[str]) -> bool:
    """Whether the pictures in a folder are masks. `told` are the folders of XML files."""
    parts = set(folder.split("/"))
    return bool(parts & set(FOLDERS.values())) or (bool(parts & NOTES) and folder not in told)


def _above(folder: str) -> str:
    """The folder above another, as the beginning of a path: "" or "a/"."""
    return folder.rpartition("/")[0] + "/" if "/" in folder else ""


def _bases(folder: str) -> list[str]:
    """A folder and those above it, as beginnings of paths: "a/b/", "a/", ""."""
    parts = folder.split("/") if folder else []
    return ["".join(f"{part}/" for part in parts[:count]) for count in range(len(parts), -1, -1)]


def _places(folder: str) -> list[str]:
    """Where the image that an XML file in a folder names may lie."""
    return [*(f"{_above(folder)}{name}" for name in PICTURES), folder]


def holds_voc(listing: Listing) -> bool:
    """Whether XML files in a folder, or some folders below it, are annotations of Pascal VOC."""
    first = islice(listing.files(".xml", DEEP), PEEKED)
    return any(root_name(path) == "annotation" for path in first)
