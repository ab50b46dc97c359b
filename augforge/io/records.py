"""The records that augforge writes beside images, in JSON, and what they tell of an image when they are read again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from augforge.data.pictures import is_free
from augforge.errors import SourceError
from augforge.io.base import MISSING, Entry, natural, split_name
from augforge.io.cells import carried
from augforge.io.own import annotations_of

MANIFEST = "export.json"
METADATA = "metadata.jsonl"
EXPORTED = frozenset({MANIFEST, METADATA, "README.md", "croissant.json"})
"""What lies at the top of an export beside its images."""
OURS = frozenset({"id", "origin", "provenance"})
LONGEST = 4 << 20
"""Bytes of the longest record that is read."""


def known_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a record says of its sample, as `Entry.carried`; None if augforge did not write it."""
    return carried(record) if record.keys() >= OURS else None


def text_of(value: Any) -> str | None:
    """A split or caption of a record, or its label; "" is none."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        return None
    return str(value)


def label_of(record: Mapping[str, Any], labelled: bool) -> str | None:
    """The label of a record. "" is none, unless the place of the image says that it is `labelled`: then it is ""."""
    label = record.get("label")
    return "" if labelled and label == "" else text_of(label)


def parsed(data: bytes) -> dict[str, Any] | None:
    """As `json_object`; None also if the bytes are too many."""
    return json_object(data) if len(data) <= LONGEST else None


def json_object(data: bytes) -> dict[str, Any] | None:
    """A JSON object, as `json_value` reads it; None if the bytes hold no such thing."""
    try:
        value = json_value(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def json_value(data: bytes) -> Any:
    """A JSON value. What cannot be written again is changed: NaN and infinite numbers are null, halves of surrogate
    pairs are "?".

    Raises:
        ValueError, RecursionError: the bytes hold no such thing.
    """
    value = json.loads(data, parse_constant=lambda _: None, parse_float=_finite)
    if b"\\u" in data:
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    return value


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def named_pictures(record: Mapping[str, Any]) -> dict[str, str]:
    """The files of the pictures that go with an image, as a record names them: `mask_file_name` is its mask."""
    ends = {key.removesuffix("_file_name"): value for key, value in record.items() if key.endswith("_file_name")}
    return {name: path for name, path in ends.items() if is_free(name) and isinstance(path, str) and path}


def declared_classes(folder: Path) -> list[str]:
    """The classes that the manifest of an export names, in their order; [] if there is no manifest."""
    try:
        value = json.loads((folder / MANIFEST).read_bytes())
        return [name for name in value["classes"] if isinstance(name, str)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


class Records:
    """The lines of `metadata.jsonl` that augforge wrote into the top of a folder, or into folders of its top.

    Empty where there are none. They have the last word on the images that they name. `beside` has the paths of the
    pictures that go with these, such as masks: they are no images of their own.
    """

    def __init__(self, root: Path, folders: Iterable[str], where: str) -> None:
        self._root = root
        self._by_path: dict[str, dict[str, Any]] = {}
        self._pictures: dict[str, dict[str, str]] = {}
        for base in ("", *folders):
            path = root / base / METADATA
            above = f"{base}/" if base else ""
            for record in _lines(path, where) if path.is_file() else ():
                path = above + record["file_name"]
                self._by_path[path] = record
                self._pictures[path] = {name: above + file for name, file in named_pictures(record).items()}
        self.beside = {file for pictures in self._pictures.values() for file in pictures.values()}

    def __bool__(self) -> bool:
        return bool(self._by_path)

    def classes(self) -> list[str]:
        """The classes that the export declares, else those that are met, in natural order."""
        labels = (label_of(record, _is_labelled(record)) for record in self._by_path.values())
        met = {label for label in labels if label is not None}
        return declared_classes(self._root) or sorted(met, key=natural)

    def pictures(self, path: str) -> Mapping[str, str]:
        """The paths of the pictures that go with an image, by their names."""
        return self._pictures.get(path, {})

    def annotate(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Entries with what is recorded, less masks and the like; images that are gone have that problem."""
        waiting = dict(self._by_path)
        for entry in entries:
            record = waiting.pop(entry.locator, None)
            if record is not None:
                yield self._recorded(entry, record)
            elif entry.locator not in self.beside:
                yield entry
        for path, record in waiting.items():
            yield self._recorded(Entry(path, None, problem=MISSING), record)

    def _recorded(self, entry: Entry, record: Mapping[str, Any]) -> Entry:
        split, known = text_of(record.get("split")), known_of(record)
        return replace(
            entry,
            label=label_of(record, _is_labelled(record)),
            split=split_name(split) if split else None,
            carried=known,
            pictures=self.pictures(entry.locator),
            annotations={**entry.annotations, **annotations_of(record, known)},
        )


def _is_labelled(record: Mapping[str, Any]) -> bool:
    """Whether an image has a label, as its record says, or else the class folder that it is in."""
    return bool(record.get("labelled", "/" in record["file_name"]))


def _lines(path: Path, where: str) -> Iterator[dict[str, Any]]:
    """The records of a file that augforge wrote; SourceError if some of its lines are ours, and others damaged."""
    ours = damaged = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = parsed(line)
            if record is None:
                damaged = damaged or number
            elif record.keys() >= OURS and isinstance(record.get("file_name"), str):
                ours += 1
                yield record
    if ours and damaged:
        raise SourceError(f"{where}: line {damaged} of {path.name} is damaged", "make the export again")
