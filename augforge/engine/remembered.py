"""What a stage found out about all images together, kept in a sealed file beside what it depends on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def packed(values: NDArray[Any]) -> str:
    """Numbers as text: 11 bytes each, where a list of millions would be as many objects of Python."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def unpacked(text: str, dtype: type[np.int64] | type[np.float64]) -> NDArray[Any]:
    """(n,) the numbers of `packed`, which were of this type."""
    return np.frombuffer(base64.b64decode(text), dtype=dtype)
