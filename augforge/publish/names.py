"""What files are called in an export: as in their source, where no other file of the same folder is called so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from augforge.io.tree import SUFFIXES

SHORT = 8
"""Digits of an id that tell files of one name apart."""


def original_name(source: str) -> tuple[str, str]:
    """Name and suffix of the file that a sample came from, as its ledger tells; ("", "") if it was no file of its own.

    A sample of a WebDataset has a name and no suffix.
    """
    locator = source.partition(": ")[2]
    archive, _, member = locator.rpartition("#")
    if archive.lower().endswith(".tar"):
        return member.rpartition("/")[2], ""
    name, _, suffix = locator.rpartition("/")[2].rpartition(".")
    return (name, suffix) if suffix.lower() in SUFFIXES and name else ("", "")


def unique_names(
    wanted: Sequence[str], ids: Sequence[str], folders: Sequence[Hashable], safe: Callable[[str], str]
) -> list[str]:
    """(n,) a name for each of n files, no two alike in one of the `folders` (n,), whatever the order of the files.

    A file has the name that it `wanted`, or its id if it wanted none. Files that want the same name, even if it differs
    in capitals, all have the first digits of their ids behind it. `safe` makes a name safe on any disk.
    """
    steps = [_steps(want, identity) for want, identity in zip(wanted, ids, strict=True)]
    at = [0] * len(steps)
    while True:
        names = [safe(step[place]) for step, place in zip(steps, at, strict=True)]
        keys = [(folder, name.casefold()) for folder, name in zip(folders, names, strict=True)]
        counts = Counter(keys)
        again = [n for n, found in enumerate(keys) if counts[found] > 1 and at[n] + 1 < len(steps[n])]
        if not again:
            return names
        for n in again:
            at[n] += 1


def _steps(want: str, identity: str) -> list[str]:
    """The names of one file, to be tried in this order."""
    return [*([want, f"{want}-{identity[:SHORT]}", f"{want}-{identity}"] if want else []), identity]
