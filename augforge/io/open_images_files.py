"""The CSV files of Open Images: boxes, labels of whole images, lists of images, and what the classes are called.

Files of boxes are larger than memory (14,610,229 rows for the training images of version 6), so that what is kept of
each image is where its rows lie, and not the rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from augforge.errors import SourceError

IMAGE, LABEL, SUBSET = "ImageID", "LabelName", "Subset"
CORNERS = ("XMin", "YMin", "XMax", "YMax")
MACHINE = "machine"
"""The word in the names of files of labels that no human has seen."""
PEEK = 4096


@dataclass(slots=True)
class NotesFile:
    """A CSV file with rows of images. `runs` has where those of each image lie: offset and bytes of rows in turn."""

    path: Path
    columns: tuple[str, ...]
    runs: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def has_boxes(self) -> bool:
        """Whether its rows are boxes."""
        return {*CORNERS} <= {*self.columns}

    def rows(self, image: str) -> Iterator[dict[str, str]]:
        """The rows of an image; cells that a row lacks are missing in it."""
        with self.path.open("rb") as file:
            for offset, size in self.runs.get(image, ()):
                file.seek(offset)
                text = file.read(size).decode(errors="replace")
                yield from (dict(zip(self.columns, cells, strict=False)) for cells in csv.reader(text.splitlines()))


def header_of(path: Path) -> tuple[str, ...]:
    """The columns that the first line of a file names; () if it cannot be read."""
    try:
        with path.open("rb") as file:
            first = file.readline(PEEK).decode("utf-8-sig", errors="replace")
    except OSError:
        return ()
    return tuple(name.strip() for name in first.strip().split(","))


def is_notes(path: Path) -> bool:
    """Whether a file has rows of boxes or of labels of Open Images."""
    columns = header_of(path) if path.suffix.lower() == ".csv" else ()
    usual = IMAGE in columns and LABEL in columns
    return usual and MACHINE not in path.name.lower() and ({*CORNERS} <= {*columns} or "MaskPath" not in columns)


def is_list(path: Path) -> bool:
    """Whether a file lists images with the subset of each."""
    return path.suffix.lower() == ".csv" and {IMAGE, SUBSET} <= {*header_of(path)}


def is_names(path: Path) -> bool:
    """Whether a file says what the classes are called: lines such as `/m/0k4j,Car`, without a header."""
    first = header_of(path) if path.suffix.lower() == ".csv" else ()
    return len(first) >= 2 and first[0].startswith(("/m/", "/g/", "/t/"))


def read_notes(path: Path, where: str) -> NotesFile:
    """Find the rows of each image. SourceError if the file cannot be read."""
    found = NotesFile(path, header_of(path))
    place = found.columns.index(IMAGE)
    try:
        with path.open("rb") as file:
            offset = len(file.readline())
            for line in file:
                cells = line.split(b",", place + 1)
                image = cells[place].strip().decode(errors="replace") if len(cells) > place else ""
                _extend(found.runs.setdefault(image, []), offset, len(line))
                offset += len(line)
    except OSError as error:
        raise SourceError(f"{where}: {path.name} cannot be read: {error}", "copy it again") from error
    found.runs.pop("", None)
    return found


def _extend(runs: list[tuple[int, int]], offset: int, size: int) -> None:
    """Add a row to the runs of an image; one that follows the last row of it makes that run longer."""
    if runs and sum(runs[-1]) == offset:
        runs[-1] = (runs[-1][0], runs[-1][1] + size)
    else:
        runs.append((offset, size))


def read_names(path: Path) -> dict[str, str]:
    """What the classes are called, by their ids."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return {row[0].strip(): row[1].strip() for row in csv.reader(file) if len(row) >= 2}


def read_subsets(path: Path) -> dict[str, str]:
    """The subset of each image."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return {row[IMAGE]: row[SUBSET] for row in csv.DictReader(file) if row.get(IMAGE) and row.get(SUBSET)}
