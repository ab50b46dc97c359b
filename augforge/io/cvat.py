"""CVAT for images 1.1: one XML file that tells of all images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from augforge.errors import SourceError
from augforge.io.annotated import AnnotatedImages, classes_met, counted, normal, one_split
from augforge.io.base import Entry, existing, split_name
from augforge.io.cvat_shapes import read_shapes, tags
from augforge.io.listed import label_of
from augforge.io.listing import Listing
from augforge.io.sizes import said_size
from augforge.io.splits import path_split
from augforge.io.xml import elements, root_name, text

ROOT = "annotations"
NO_SUBSET = "default"
WANTED = frozenset({"image", "label", "track"})
PEEKED = 100


class Cvat(AnnotatedImages):
    """An XML file of CVAT for images 1.1, or the folder in which it lies as `annotations.xml` or by another name.

    Boxes, polygons and masks are boxes with outlines; a turned box and an ellipse are polygons; points and skeletons
    are keypoints. Tags are the label of the whole image, else the classes of its boxes. `subset` is the split.
    Images are looked for in `images/SUBSET`, in `images`, and beside the file. Attributes, `occluded` and all else that
    is said of a shape are attributes of its box. Coordinates are of the upright picture.
    """

    format = "CVAT for images"
    declares_sizes = True
    _looked_at = frozenset({".xml"})

    def __init__(self, value: str, *, split: str | None = None) -> None:
        given = existing(value)
        self.where, self._split = f"cvat {value}", split
        self._root = given if given.is_dir() else given.parent
        self._files = cvat_files(Listing(given)) if given.is_dir() else [given]
        if not self._files:
            raise SourceError(f"{self.where}: there is no annotation file of CVAT in it", "give the XML file")
        self._declared: dict[str, None] = {}

    def classes(self) -> list[str]:
        """The labels that the file declares, in its order, then others that are met."""
        met = classes_met(self._all)
        return list(dict.fromkeys([*self._declared, *met]))

    @property
    def remarks(self) -> list[str]:
        """Images of which the file does not tell."""
        told = {entry.locator for entry in self._all}
        bare = [locator for locator in self._images if locator not in told]
        return counted(bare, "image", "not used, as no annotation file names it", "images")

    def _found(self) -> Iterator[Entry]:
        for file in self._files:
            try:
                yield from self._in_file(file)
            except (OSError, ValueError) as error:
                raise SourceError(f"{self.where}: {file.name} is damaged: {error}", "export it again") from error

    def _in_file(self, file: Path) -> Iterator[Entry]:
        for element in elements(file, WANTED):
            if element.tag == "label":
                self._declared |= dict.fromkeys(filter(None, [text(element, "name")]))
            elif element.tag == "track":
                raise SourceError(f"{self.where}: {file.name} is of CVAT for video", "export CVAT for images 1.1")
            else:
                yield self._entry(element)

    def _entry(self, image: Element) -> Entry:
        name, subset = image.get("name", ""), image.get("subset") or NO_SUBSET
        if not name:
            return Entry(f"image {image.get('id')}", None, problem="it has no name")
        locator = self._locator(name, subset)
        boxes, points = read_shapes(image)
        label, several = label_of(tags(image) or [box["label"] for box in boxes if isinstance(box, dict)])
        said: dict[str, Any] = {**several, "boxes": boxes} | ({"keypoints": points} if points else {})
        split = path_split(locator) if subset.lower() == NO_SUBSET else self._of_subset(locator, subset)
        found = self._images.get(locator)
        entry = self._other(locator, split) if found is None else replace(found, split=split)
        size = said_size(image.get("width"), image.get("height"))
        return replace(entry, label=label, annotations=said, size=size)

    def _of_subset(self, locator: str, subset: str) -> str:
        return one_split(locator, [split_name(subset)], self._split is not None, f"{self.where}: its subset")

    def _locator(self, name: str, subset: str) -> str:
        """Where the image of a name lies: the first of the usual places in which it is."""
        places = [normal(name, folder) for folder in (f"images/{subset}", "images", subset, "")]
        return next((place for place in places if place in self._images), places[-1])


def is_cvat(path: Path) -> bool:
    """Whether a file is an XML file of CVAT."""
    return path.suffix.lower() == ".xml" and root_name(path) == ROOT


def cvat_files(listing: Listing) -> list[Path]:
    """The annotation files of CVAT in a folder, or else one below it."""
    for depth in (0, 1):
        if found := list(filter(is_cvat, islice(listing.files(".xml", depth), PEEKED))):
            return found
    return []
