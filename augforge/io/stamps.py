"""Sizes and times of change of all that lies below a folder."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator

from augforge.remote.places import Found, real_path, scandir, stamp_of


def stamps(root: str, is_inside: Callable[[str], bool]) -> Iterator[bytes]:
    """Path, size and time of change of everything below a folder; links that lead out of it are not followed."""
    waiting, linked = [root], set()
    while waiting:
        folder = waiting.pop()
        try:
            with scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield f"{folder}\0{error.errno}\n".encode(errors="surrogateescape")
            continue
        for entry in entries:
            yield _stamp(entry).encode(errors="surrogateescape")
            if not is_folder(entry):
                continue
            if entry.is_symlink():
                real = real_path(entry.path)
                if real in linked or not is_inside(real):
                    continue
                linked.add(real)
            waiting.append(entry.path)


def _stamp(entry: Found) -> str:
    try:
        facts = entry.stat()
    except OSError as error:
        return f"{entry.path}\0{error.errno}\n"
    if stat.S_ISDIR(facts.st_mode):
        return f"{entry.path}\0\n"
    return f"{entry.path}\0{stamp_of(facts)}\n"


def is_folder(found: Found) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return found.is_dir()
    except OSError:  # a symlink to itself
        return False
