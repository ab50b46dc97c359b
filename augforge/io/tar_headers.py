"""The members of a tar archive as `tarfile` finds them; plain headers, which nearly all are, in a third of the time."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import IO

BLOCK = tarfile.BLOCKSIZE
_PLAIN = re.compile(rb"([0-7]{11})[\0 ].{12}([0-7]{6})\0 [0\0].{100}ustar(?:\x0000|  \0).{80}\0", re.DOTALL)
"""A header from the size of a file on, to the prefix of its name, which is empty; of POSIX or GNU."""
_SIZE, _CHECKSUM = 124, slice(148, 156)
_BLANK = 8 * ord(" ")  # what the checksum counts for itself


def members_of(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that is not compressed: name, type, size and place of the data.

    A header that is not plain (a link, a folder, a long name, Pax records, the end, damage) is left to `tarfile`.

    Raises:
        tarfile.TarError, OSError, ValueError: as `tarfile`, where the archive is damaged.
    """
    with tarfile.open(fileobj=file, mode="r:", errors="backslashreplace") as tar:
        while member := tar.next():
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep a kilobyte of each
            yield member
            while not tar.pax_headers and (plain := _plain(file, tar.offset)):  # those headers hold for all that follow
                yield plain
                tar.offset, member = plain.offset_data + -(-plain.size // BLOCK) * BLOCK, plain
            file.seek(member.offset_data)  # from where tarfile looks whether the data is whole


def _plain(file: IO[bytes], offset: int) -> tarfile.TarInfo | None:
    """The file whose header lies at `offset`, if that is whole and plain."""
    file.seek(offset)
    header = file.read(BLOCK)
    found = _PLAIN.match(header, _SIZE)
    name = header[:100].partition(b"\0")[0]
    if found is None or len(header) < BLOCK or not name.isascii() or name.endswith(b"/"):
        return None
    if int(found[2], 8) != sum(header) - sum(header[_CHECKSUM]) + _BLANK:
        return None
    member = tarfile.TarInfo(name.decode("ascii"))
    member.size, member.offset, member.offset_data = int(found[1], 8), offset, offset + BLOCK
    return member
