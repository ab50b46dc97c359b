"""What every store has to be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

PIECE = 32 << 20
"""Bytes of an object that are fetched at a time, and of a part of a large one that is written."""
AT_ONCE = 8
"""Objects that are fetched, written or removed at the same time."""


class Seen(NamedTuple):
    """An object, what changes whenever it is written, and the seconds since then, by the clock of the store alone."""

    content: bytes
    etag: str
    age: float


class Conditions(Protocol):
    """The objects of one bucket by their whole keys. Each call is tried once; faults are those of the store's library.

    Raises:
        FileNotFoundError: there is no such object to look at, or no such bucket to write to.
    """

    writing: Mapping[str, Any]
    """What `pipe_file` and `put_file` of the file system take, to write large objects in parts."""

    def look(self, key: str) -> Seen:
        """An object as it is now."""

    def put(self, key: str, content: bytes, over: str | None) -> str | None:
        """Write an object if it still is the one with the ETag `over`, or if there is none yet where that is None.

        Returns its new ETag, or None if it is not written because of the condition.
        """

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
