"""LabelMe: a JSON file for every image, with shapes and perhaps the image itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from augforge.errors import BadImage
from augforge.io.annotated import AnnotatedImages, classes_met, counted, files_below, normal
from augforge.io.base import Entry, existing
from augforge.io.labelme_shapes import read_shapes
from augforge.io.listed import label_of
from augforge.io.listing import Listing
from augforge.io.sizes import said_size
from augforge.io.splits import path_split

DEEP, PEEKED = 3, 20
SHAPES, DATA = "shapes", "imageData"


class LabelMe(AnnotatedImages):
    """A folder of JSON files, or one of them. The image is the file that `imagePath` names, else `imageData`.

    Polygons are outlines with the box around them, rectangles boxes, circles polygons of 64 corners, and points
    keypoints. Polygons of one class and `group_id` are one thing; points of the `group_id` of a box are its keypoints,
    named as they are labelled. Coordinates are of the upright picture. What `flags` says of an image without shapes is
    its label. An image that no file tells of is not annotated.
    """

    format = "LabelMe"
    declares_sizes = True
    _looked_at = frozenset({".json"})

    def __init__(self, value: str, *, split: str | None = None) -> None:
        path = existing(value)
        self.where, self._split = f"labelme {value}", split
        self._root = path if path.is_dir() else path.parent
        self._given = None if path.is_dir() else path.name

    def classes(self) -> list[str]:
        """The classes that are met, in natural order."""
        return classes_met(self._all)

    @property
    def remarks(self) -> list[str]:
        """Images of which no file tells, and JSON files of another kind."""
        used = {entry.locator for entry in self._all if entry.annotations or entry.problem}
        bare = [] if self._given else [locator for locator in self._images if locator not in used]
        strange = [path for path, problem in self._strange.items() if not problem]
        return [*counted(bare, "image", "not annotated"), *counted(strange, "JSON file", "not of LabelMe")]

    def unused(self) -> Mapping[str, int]:
        """Files of other kinds, if a folder was given."""
        return {} if self._given else super().unused()

    @cached_property
    def _strange(self) -> dict[str, str]:
        """JSON files that are not of LabelMe, once all were read; with what is wrong with those that are damaged."""
        return {}

    def _found(self) -> Iterator[Entry]:
        self._strange.clear()
        told: set[str] = set()
        for path in [self._given] if self._given else files_below(self._root, ".json"):
            entry = self._told(path)
            if entry is not None:
                told.add(entry.locator)
                yield entry
        if not self._given:
            for locator, entry in self._images.items():
                if locator not in told:
                    yield replace(entry, split=path_split(locator))

    def _told(self, path: str) -> Entry | None:
        """The image of a JSON file; None if it is not of LabelMe."""
        try:
            content = self._content(path)
        except (BadImage, ValueError, RecursionError) as error:
            self._strange[path] = str(error)
            return Entry(path, None, path_split(path), problem=f"its annotation is damaged: {error}")
        if not isinstance(content.get(SHAPES), list):
            self._strange[path] = ""
            return None
        entry = self._image(path, content)
        boxes, points = read_shapes(content[SHAPES])
        flags = content.get("flags")
        flagged = [name for name, value in flags.items() if value is True] if isinstance(flags, dict) else []
        label, several = label_of([box["label"] for box in boxes if isinstance(box, dict)] or flagged)
        said = {**several, "boxes": boxes} | ({"keypoints": points} if points else {})
        size = said_size(content.get("imageWidth"), content.get("imageHeight"))
        return replace(entry, label=label, split=path_split(entry.locator), annotations=said, size=size)

    def _content(self, path: str) -> dict[str, Any]:
        content = json.loads(super().read(path).decode("utf-8-sig"))
        return content if isinstance(content, dict) else {}

    def _image(self, path: str, content: Mapping[str, Any]) -> Entry:
        """The image as a file, else the JSON file in which it is."""
        named, beside = content.get("imagePath"), path.rpartition("/")[0]
        places = [normal(named, beside), normal(named.rpartition("\\")[2], beside)] if isinstance(named, str) else []
        found = next((place for place in places if place in self._images), None)
        if found is not None:
            return self._images[found]
        if content.get(DATA):
            return Entry(path, None, stamp=self._look(path)[0])
        return self._other(places[0], None) if places else Entry(path, None, problem="its annotation names no image")

    def read(self, locator: str) -> bytes:
        """The bytes of a file, or of the image in a JSON file."""
        if not locator.lower().endswith(".json"):
            return super().read(locator)
        try:
            return base64.b64decode(self._content(locator)[DATA], validate=True)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadImage(f"its imageData cannot be read: {error}") from error


def is_labelme(path: Path) -> bool:
    """Whether a JSON file is an annotation of LabelMe."""
    try:
        data = path.read_bytes() if path.suffix.lower() == ".json" else b""
        content = json.loads(data) if b"shapes" in data else None
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and isinstance(content.get(SHAPES), list)
        and {"imagePath", DATA} & content.keys() != set()
    )


def holds_labelme(listing: Listing) -> bool:
    """Whether one of the first JSON files in a folder, or some folders below it, is of LabelMe."""
    return any(map(is_labelme, islice(listing.files(".json", DEEP), PEEKED)))
