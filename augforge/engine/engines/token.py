"""A file that a driver leaves beside the parts of a work: a worker that does not see it would write somewhere else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from augforge.data.files import named
from augforge.data.parts import Target


@contextmanager
def token(target: Target) -> Iterator[str]:
    """The path of the file, which is there as long as the block lasts; "" where parts go to no folder."""
    folder = getattr(target, "folder", None)
    if not isinstance(folder, Path):
        yield ""
        return
    path = folder / f".seen-{secrets.token_hex(8)}.tmp"
    with named(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
    try:
        yield str(path)
    finally:
        with suppress(OSError):
            path.unlink()
