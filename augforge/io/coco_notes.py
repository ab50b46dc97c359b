"""The JSON files of COCO: instances, captions, keypoints, panoptic segments, as they are downloaded or exported."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from augforge.errors import SourceError
from augforge.io.coco_own import NO_CLASS, OWN, THINGS
from augforge.io.peek import ends_of
from augforge.io.records import text_of

Record = Mapping[str, Any]
STREAMED = 32 << 20
"""Bytes from which on a file is read piece by piece, and never as a whole."""
KNOWN = frozenset({
    "id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd", "keypoints", "num_keypoints", "caption",
    "attributes", "segments_info", "file_name", "augforge",
})  # fmt: skip
"""The keys of an annotation that COCO defines; others are attributes of the box."""


class CocoFile:
    """One annotation file: its images by number, its categories, and the annotations of each image.

    Annotations are kept as JSON texts, which take a third of the memory of objects. `undeclared` counts those of each
    category that the file does not list.

    Raises:
        SourceError: the file is damaged, is no COCO file, or two of its images have one number.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.path, self._where = path, where
        self.images: dict[Any, Record] = {}
        self._categories: list[Record] = []
        self._notes: dict[Any, list[bytes]] = {}
        self.undeclared: Counter[Any] = Counter()
        pieces = _pieces(path) if path.stat().st_size > STREAMED else _whole(path)
        listed = False
        try:
            for what, value in pieces:
                listed = listed or what == "images"
                self._take(what, value)
        except (OSError, ValueError, RecursionError) as error:
            raise SourceError(f"{where}: {path.name} is damaged: {error}", "make or copy it again") from error
        if not listed:
            raise SourceError(f"{where}: {path.name} has no list of images", "give an annotation file of COCO")

    def _take(self, what: str, value: Any) -> None:
        if what == "categories" and isinstance(value, dict):
            self._categories.append(value)
        elif what == "images" and isinstance(value, dict):
            self._take_image(value)
        elif what == "annotations" and isinstance(value, dict):
            line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
            self._notes.setdefault(number(value, "image_id"), []).append(line)
            self._count_undeclared(value)

    def _count_undeclared(self, note: Record) -> None:
        segments = note.get("segments_info")
        for one in segments if isinstance(segments, list) else [note]:
            if isinstance(one, dict) and "category_id" in one and number(one, "category_id") not in self._declared:
                self.undeclared[number(one, "category_id")] += 1

    @cached_property
    def _declared(self) -> frozenset[Any]:
        """The numbers of the categories, all of which are read before the first annotation."""
        return frozenset(number(category) for category in self._categories)

    def _take_image(self, image: Record) -> None:
        identity = number(image)
        other = self.images.get(identity)
        if other is not None and other.get("file_name") != image.get("file_name"):
            names = f"{other.get('file_name')!r} and {image.get('file_name')!r}"
            raise SourceError(
                f"{self._where}: {self.path.name}: two images have the id {identity}: {names}",
                "give every image an id of its own: nobody can tell whose the annotations are",
            )
        key = identity if identity is not None and other is None else f"{identity}#{len(self.images)}"
        self.images[key] = image

    @cached_property
    def categories(self) -> dict[Any, Record]:
        """The categories with a name, by number."""
        named = (one for one in self._categories if one.get("name") == "" or text_of(one.get("name")) is not None)
        return {number(category): category for category in named}

    @cached_property
    def names(self) -> dict[Any, str]:
        """The names of the categories by number."""
        named = ((key, one) for key, one in self.categories.items() if one.get(OWN) != NO_CLASS)
        return {key: str(one["name"]) for key, one in named}

    @property
    def classes(self) -> list[str]:
        """The categories that images are of, less those that are of things only."""
        things = {key for key, one in self.categories.items() if one.get(OWN) == THINGS}
        return [name for key, name in self.names.items() if key not in things]

    @property
    def strays(self) -> int:
        """How many annotations are of no image of the file."""
        return sum(len(notes) for key, notes in self._notes.items() if key not in self.images)

    def notes(self, image: Any) -> Iterator[Record]:
        """The annotations of an image, by its number."""
        yield from (json.loads(line) for line in self._notes.get(image, ()))

    def segments(self, image: Any) -> Iterator[Record]:
        """Those of the annotations of an image that are panoptic."""
        lines = self._notes.get(image, ())
        yield from (
            note for line in lines if b"segments_info" in line and "segments_info" in (note := json.loads(line))
        )

    @property
    def tells_of_things(self) -> bool:
        """Whether it is a file of instances or keypoints, in which an image without annotations has none."""
        return bool(self.categories)


def number(thing: Record, key: str = "id") -> Any:
    """A number of an image or category, as something that can be looked up."""
    value = thing.get(key)
    return value if isinstance(value, (int, str)) else None


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file begins as COCO's do. Reads its beginning, and its end where that is far away."""
    head, ends = ends_of(path)
    lists = set(re.findall(rb'"(images|annotations|categories)"\s*:\s*\[', ends))
    lists |= {
        name for name, sign in ((b"annotations", b'"image_id"'), (b"categories", b'"category_id"')) if sign in ends
    }
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and len(lists) >= 2


def _whole(path: Path) -> Iterator[tuple[str, Any]]:
    """All pieces of a file that is read at once."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        return
    for what in ("categories", "images", "annotations"):
        listed = content.get(what)
        if isinstance(listed, list):
            yield what, None  # that there is such a list, be it empty
            yield from ((what, value) for value in listed)


def _pieces(path: Path) -> Iterator[tuple[str, Any]]:
    """All pieces of a large file, one after the other."""
    import ijson

    for what in ("categories", "images", "annotations"):
        with path.open("rb") as file:
            found = False
            for value in ijson.items(file, f"{what}.item", use_float=True):
                if not found:
                    yield what, None
                found = True
                yield what, value
