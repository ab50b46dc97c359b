"""The files in the folder of a source that nothing uses, by kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from augforge.io.annotated import folders_below
from augforge.io.records import EXPORTED, MANIFEST
from augforge.io.tree import printable


def unused_files(root: Path, used: Collection[str]) -> dict[str, int]:
    """How many files below `root` are none of `used`, by kind: ".png", or the name of a file without a suffix.

    Hidden ones do not count, nor what an export of augforge has at its top. One listing, and no file is opened.
    """
    found: Counter[str] = Counter()
    for above, names in folders_below(root):
        known = EXPORTED if not above and MANIFEST in names else frozenset()
        found.update(kind_of(name) for name in names if name not in known and above + name not in used)
    return dict(found)


def kind_of(name: str) -> str:
    """What a file is counted as."""
    return os.path.splitext(name)[1].lower() or printable(name)  # noqa: PTH122  # a Path a file is slow
