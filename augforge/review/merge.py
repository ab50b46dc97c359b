"""One review file out of those of several people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.data.files import write_atomically
from augforge.errors import StoreError
from augforge.review.lines import Line
from augforge.review.log import read_review
from augforge.review.standing import Conflict, in_order, standing


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge: all lines by time, how many each file had, and about what people disagree."""

    lines: tuple[Line, ...]
    each: tuple[int, ...]
    conflicts: tuple[Conflict, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON-like values; the lines themselves are in the file."""
        return {
            "lines": len(self.lines),
            "each": list(self.each),
            "conflicts": [conflict.plain() for conflict in self.conflicts],
        }


def merged(paths: Sequence[Path]) -> Merged:
    """The lines of all files by time, no line twice; the order of the files does not matter.

    Raises:
        StoreError: a file is missing or damaged.
    """
    for path in paths:
        if not path.is_file():
            raise StoreError(f"there is no {path}", "give the review files to merge")
    parts = [read_review(path) for path in paths]
    lines = in_order(sorted((line for part in parts for line in part), key=Line.json))
    return Merged(tuple(lines), tuple(map(len, parts)), tuple(standing(lines).conflicts()))


def merge(paths: Sequence[Path], out: Path) -> Merged:
    """Write the lines of all files into one, which may be one of them.

    Raises:
        StoreError: as `merged`; or `out` is there and is none of them, so that its own lines would be lost.
    """
    if out.exists() and not any(out.samefile(path) for path in paths if path.exists()):
        raise StoreError(f"{out} is there already", "name it among the files to merge, or another file to write")
    found = merged(paths)
    write_atomically(out, "".join(f"{line.json()}\n" for line in found.lines).encode())
    return found
