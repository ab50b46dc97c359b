"""Files that name the classes of a data set in their order, one a line: `classes.txt` beside the class folders."""

from __future__ import annotations

from pathlib import Path

CLASS_LISTS = ("classes.txt", "classnames.txt", "class_names.txt", "labels.txt", "names.txt", "obj.names")
"""What such files are called; the first that is there counts."""
LARGEST = 4 << 20
"""Bytes of the longest one that is read."""


def listed_classes(folder: Path) -> list[str]:
    """The classes that a file of a folder names, in their order; [] where there is none.

    A line is a name, or the number of a class and its name (`3 cat`, `3: cat`) where every line counts on from 0 or 1.
    """
    path = next((folder / name for name in CLASS_LISTS if (folder / name).is_file()), None)
    try:
        if path is None or path.stat().st_size > LARGEST:
            return []
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError:
        return []
    names = [line.strip() for line in text.splitlines() if line.strip()]
    return list(dict.fromkeys(_unnumbered(names)))


def _unnumbered(lines: list[str]) -> list[str]:
    """The lines without the numbers in front of them, if those count on from 0 or 1."""
    import re

    found = [re.fullmatch(r"(\d{1,9})\s*[\s:,\t]\s*(\S.*)", line) for line in lines]
    if not lines or not all(found):
        return lines
    pairs = [(int(one[1]), one[2]) for one in found if one]
    first = pairs[0][0]
    in_order = [number for number, _ in pairs] == list(range(first, first + len(pairs)))
    return [name for _, name in pairs] if in_order and first in (0, 1) else lines
