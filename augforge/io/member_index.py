"""Where the pictures of archives lie, in few bytes each, so that any of millions is found without another look."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import blake2b

from augforge.io.members import Members, Place, Scan

MOST = 128 << 20
"""Bytes that are held: four million pictures."""
_KEY, _EACH = 16, 32  # bytes of a key, and of all that is held of a picture


class MemberIndex:
    """Finds pictures in archives, each of which is scanned when it is first asked for. For several threads.

    A scan has some objects for every sample, and a hundred archives of ten thousand are as many as fit into the memory
    of a worker; this has 32 bytes, however long the name is. Beyond `most` bytes the archive goes that was not asked
    for longest.
    """

    def __init__(self, scan: Callable[[str], Scan], most: int = MOST) -> None:
        self._scan, self._most = scan, most
        self._archives: OrderedDict[str, _Archive] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def place(self, archive: str, stem: str, picture: str = "") -> Place | None:
        """Where a picture of a sample lies in an archive, "" for the image itself; None if there is none."""
        with self._lock:
            found = self._archives.get(archive)
            if found is not None:
                self._archives.move_to_end(archive)
        if found is None:
            found = self.add(archive, self._scan(archive))
        return found.place(_key(stem, picture))

    def add(self, archive: str, scan: Scan) -> _Archive:
        """Take note of what a scan has found."""
        made = _Archive(scan)
        with self._lock:
            before = self._archives.pop(archive, None)
            self._archives[archive] = made
            self._held += made.size - (0 if before is None else before.size)
            while len(self._archives) > 1 and self._held > self._most:
                self._held -= self._archives.popitem(last=False)[1].size
        return made


class _Archive:
    """The pictures of one archive by digests of their names, which rise, and where each lies."""

    def __init__(self, scan: Scan) -> None:
        import numpy as np

        pairs = [pair for stem, sample in scan.samples.items() for pair in _pictures(stem, sample)]
        keys = np.array([key for key, _ in pairs], dtype=f"S{_KEY}")
        order = np.argsort(keys)
        self._keys = keys[order]
        self._places = np.array([place for _, place in pairs], dtype=np.int64).reshape(-1, 2)[order]
        self.size = _EACH * len(keys)

    def place(self, key: bytes) -> Place | None:
        row = int(self._keys.searchsorted(key))
        if row == len(self._keys) or self._keys[row] != key.rstrip(b"\0"):
            return None
        offset, size = self._places[row].tolist()
        return Place(offset, size)


def _pictures(stem: str, sample: Members) -> Iterator[tuple[bytes, Place]]:
    if sample.image is not None:
        yield _key(stem, ""), sample.image
    for name, place in sample.pictures.items():
        yield _key(stem, name), place


def _key(stem: str, picture: str) -> bytes:
    """A digest of the name of a picture: what it is called behind the stem has no slash."""
    return blake2b(f"{stem}/{picture}".encode(errors="surrogatepass"), digest_size=_KEY).digest()
