"""The beginning and the end of a file, to tell what it is without reading it."""

from __future__ import annotations

from pathlib import Path

PEEK = 1 << 16
"""Bytes that are read at either end."""


def ends_of(path: Path) -> tuple[bytes, bytes]:
    """The beginning of a file, and that with its end; nothing of one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(PEEK)
            file.seek(max(0, path.stat().st_size - PEEK))
            return head, head + file.read(PEEK)
    except OSError:
        return b"", b""
