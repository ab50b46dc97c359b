"""Which synthetic images of a data set have lost their marks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from augforge.errors import BadImage, StoreError
from augforge.io import detect, open_source
from augforge.io.base import Entry, Source
from augforge.io.records import MANIFEST
from augforge.optional import install_command, installed
from augforge.progress import Progress
from augforge.publish.marks import SourceType
from augforge.publish.marks.sign import has_manifest, state_of
from augforge.publish.marks.xmp import source_type


@dataclass(frozen=True, slots=True)
class Lost:
    """An image without its marks: its place in the source, its sample's id, and what is wrong."""

    where: str
    id: str
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: synthetic images that are known to be, those `lost`, and images of unknown origin with a mark.

    `signatures` says whether C2PA manifests were looked at: "checked", "none" or "not checked: why".
    """

    synthetic: int
    real: int
    unknown: int
    marked_unknown: int
    lost: tuple[Lost, ...]
    signatures: str

    def plain(self) -> dict[str, Any]:
        """As JSON-like values."""
        return asdict(self)


def check_marks(folder: Path, signed: bool | None = None, progress: Progress | None = None) -> Checked:
    """Look at every image of a folder or export.

    Args:
        folder: anything that can be a source; which images are synthetic is told by what augforge wrote beside them.
        signed: whether a C2PA manifest is expected; None asks the manifest of the export.
        progress: told how far it is.

    Raises:
        StoreError: it is a run folder, whose images have no marks yet.
        SourceError: it cannot be read.
    """
    kind, value = detect(str(folder))
    if kind == "run":
        raise StoreError(
            f"{folder} is a run folder: its images are as they were made", "marks come with augforge export"
        )
    source = open_source(kind, value)
    expected = _was_signed(folder) if signed is None else signed
    counts = {"synthetic": 0, "real": 0, "unknown": 0, "marked": 0, "signed": 0}
    lost = tuple(_look(source, expected, counts, progress or Progress()))
    return Checked(
        counts["synthetic"], counts["real"], counts["unknown"], counts["marked"], lost, _said(expected, counts)
    )


def _look(source: Source, expected: bool, counts: dict[str, int], progress: Progress) -> Iterator[Lost]:
    entries = list(source.entries())
    with progress.bar("check", len(entries)) as bar:
        for entry in entries:
            yield from _look_at(source, entry, expected, counts)
            bar.advance()


def _look_at(source: Source, entry: Entry, expected: bool, counts: dict[str, int]) -> Iterator[Lost]:
    known = entry.carried or {}
    origin = str(known.get("origin", "unknown"))
    counts[origin] += 1
    if origin == "real":
        return
    try:
        data = b"" if entry.problem else source.read(entry.locator)
        problem = entry.problem or _problem(data, bool(known) and not known.get("parents"), expected)
    except BadImage as error:
        data, problem = b"", error.message
    counts["signed"] += has_manifest(data)
    if origin == "unknown":
        counts["marked"] += source_type(data) in get_args(SourceType)
    elif problem:
        yield Lost(entry.locator, str(known["id"]), problem)


def _problem(data: bytes, from_text: bool, expected: bool) -> str:
    """What is wrong with the marks of a synthetic image; "" if nothing is."""
    kind = source_type(data)
    if kind is None:
        return "no XMP mark"
    if kind not in get_args(SourceType):
        return f"its XMP says {kind}"
    if from_text and kind != "trainedAlgorithmicMedia":
        return f"its XMP says {kind}, but no image conditioned it"
    if not has_manifest(data):
        return "no C2PA manifest" if expected else ""
    state = state_of(data) if installed("c2pa") else "Valid"
    return "" if state in ("Valid", "Trusted") else f"C2PA manifest: {state}"


def _said(expected: bool, counts: dict[str, int]) -> str:
    if not expected and not counts["signed"]:
        return "none"
    return "checked" if installed("c2pa") else f"not checked: c2pa-python is not installed ({install_command('c2pa')})"


def _was_signed(folder: Path) -> bool:
    """What the manifest of the export says, if there is one."""
    path = folder / MANIFEST if folder.is_dir() else folder.parent / MANIFEST
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and bool(told.get("signed"))
