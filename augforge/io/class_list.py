"""Files that name the classes of a data set in their order, beside the class folders or archives.

`classes.txt` has a name a line; in front of it may stand its number (`3 cat`, `3: cat`), after it what it means
(`n01440764 tench`). `classes.json` is a list of names, or an object of names and numbers, either way round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

CLASS_LISTS = (
    "classes.txt", "classnames.txt", "class_names.txt", "labels.txt", "names.txt", "classes.json", "class_to_idx.json",
    "class_map.json",
)  # fmt: skip
"""What such files are called; the first that is there counts."""
NUMBERED = re.compile(r"(\d{1,9})\s*[\s:,;]\s*(\S.*)")
LARGEST = 4 << 20
"""Bytes of the longest one that is read."""


def class_list(folder: Path) -> tuple[str, list[str]]:
    """Name and classes of the file of a folder that lists them; ("", []) where there is none that can be read."""
    for name in CLASS_LISTS:
        path = folder / name
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                continue
            text = path.read_bytes().decode("utf-8-sig", errors="replace")
        except OSError:
            continue
        found = _of_json(text) if name.endswith(".json") else _of_lines(text)
        if found:
            return name, list(dict.fromkeys(found))
    return "", []


def in_listed_order(listed: Collection[str], met: Collection[str]) -> list[str]:
    """All listed classes, then others that were met, in their order; [] if none of those that were met is listed.

    A line of two words or more stands for the class that is called like its first word, if one is.
    """
    names = [line if line in met else _first_word(line, met) for line in listed]
    if not set(names) & set(met):
        return []
    return list(dict.fromkeys([*names, *met]))


def _first_word(line: str, met: Collection[str]) -> str:
    first = re.split(r"[\s,;:]+", line, maxsplit=1)[0]
    return first if first in met else line


def _of_lines(text: str) -> list[str]:
    """The names, without the numbers in front of them if those count on from 0 or 1."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(one[1]), one[2]) for one in found if one]
    numbers = [number for number, _ in pairs]
    counted = [list(range(first, first + len(lines))) for first in (0, 1)]
    return [name for _, name in pairs] if numbers in counted else lines


def _of_json(text: str) -> list[str]:
    """The names of a list, or of an object in the order of its numbers."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, list):
        return [name for name in value if isinstance(name, str)]
    return _in_order(value) if isinstance(value, dict) else []


def _in_order(value: dict[str, Any]) -> list[str]:
    if all(isinstance(number, int) for number in value.values()):
        return sorted(value, key=lambda name: int(value[name]))
    if all(key.isdecimal() and isinstance(name, str) for key, name in value.items()):
        return [value[key] for key in sorted(value, key=int)]
    return []
