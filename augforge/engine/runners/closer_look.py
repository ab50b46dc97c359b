"""The closer look at plain pictures that hashes take for near: each pair once, and what was seen is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.algorithms.duplicates.closer import View, differences, views
from augforge.algorithms.duplicates.hashes import Small
from augforge.data import images
from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.engine.pixels import Pixels
from augforge.errors import BadImage

SEEN = pa.schema([("pair", pa.string()), ("difference", pa.float64())])
HELD = 1024  # pictures in memory, 64 kB each at most
COMMITTED = 4096  # pairs at a time


class ByDigest:
    """Reads the pictures of ledgers by their digests."""

    def __init__(self, *places: tuple[Ledger, Pixels]) -> None:
        self._places = places

    def __call__(self, digest: str) -> bytes:
        """The encoded bytes; BadImage as `Pixels.bytes_of`."""
        for ledger, pixels in reversed(self._places):
            if len(rows := ledger.all_with("digest", [digest])):
                return pixels.bytes_of(next(ledger.samples(rows[-1:])))
        raise KeyError(digest)


class CloserLook:
    """How much plain pictures differ in colour, by their digests. `bytes_of` reads the picture of a digest."""

    def __init__(self, store: Store, bytes_of: Callable[[str], bytes], *, flips: bool) -> None:
        self._parts, self._flips = store.parts("closer-2", SEEN, by="pair"), flips
        self._fresh: dict[str, float] = {}
        self._unwritten: list[str] = []

        @lru_cache(HELD)
        def view(digest: str) -> View:
            return views(images.decode(bytes_of(digest)))

        self._view = view

    def differences(
        self, left: Sequence[str], right: Sequence[str], smalls: tuple[Small, Small], smallest: int
    ) -> NDArray[np.float64]:
        """(p,) as `differences` of the pictures of digests (p,) and (p,), whose grey ones `smalls` are (p, 32, 32)."""
        names = [self._name(a, b, smallest) for a, b in zip(left, right, strict=True)]
        for row in np.flatnonzero(self._parts.find(names) < 0).tolist():
            if names[row] not in self._fresh:
                grey = (smalls[0][row : row + 1], smalls[1][row : row + 1])
                self._keep(names[row], self._one(left[row], right[row], grey, smallest))
        return np.array([self._told(name) for name in names], dtype=np.float64)

    def _told(self, name: str) -> float:
        """What was seen of a pair, now or before."""
        return self._fresh[name] if name in self._fresh else float(self._parts.row(name)["difference"])

    def _one(self, left: str, right: str, grey: tuple[Small, Small], smallest: int) -> float:
        """Of one pair; without end where one can no longer be read, so that it is no evidence."""
        if left > right:
            left, right, grey = right, left, grey[::-1]
        try:
            pair = [self._view(left)], [self._view(right)]
        except BadImage:
            return np.inf
        return float(differences(*pair, grey, flips=self._flips, smallest=smallest)[0])

    def _name(self, left: str, right: str, smallest: int) -> str:
        return f"{min(left, right)}:{max(left, right)}:{smallest}{':mirrored' * self._flips}"

    def _keep(self, name: str, difference: float) -> None:
        self._fresh[name] = difference
        if np.isfinite(difference):
            self._unwritten.append(name)
        if len(self._unwritten) >= COMMITTED:
            self.commit()

    def commit(self) -> None:
        """Write what was seen since the last time."""
        if self._unwritten:
            self._parts.commit([{"pair": name, "difference": self._fresh[name]} for name in self._unwritten])
        self._unwritten = []
