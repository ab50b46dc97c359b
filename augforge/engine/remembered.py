"""What a stage found out about all images together, kept in a sealed file beside what it depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from augforge.data.files import read_sealed, seal, write_atomically
from augforge.errors import StoreError
from augforge.progress import Progress


def remembered(
    path: Path, make: Callable[[], dict[str, Any]], again: str, progress: Progress
) -> tuple[dict[str, Any], bool]:
    """What is in the file, or what is made now and written there; and whether it was made now.

    Of a damaged file it is said that it is, and what is done `again`.
    """
    try:
        if (saved := read_sealed(path)) is not None:
            return saved, False
    except StoreError as error:
        progress.say(f"{error.message}; {again}")
    write_atomically(path, seal(make()))
    return read_sealed(path) or {}, True
