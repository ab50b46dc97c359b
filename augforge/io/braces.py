"""Lists of files as shells and webdataset write them: `shard-{000..099}.tar`, `{train,val}/x.tar`, `a.tar::b.tar`."""

from __future__ import annotations

import re

from augforge.errors import SourceError

MOST = 100_000
"""Files that one text may name."""
_GROUP = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,12})\.\.(\d{1,12})")


def is_list(text: str) -> bool:
    """Whether a text names several files."""
    return "::" in text or any(_choices(group) for group in _GROUP.findall(text))


def expanded(text: str) -> list[str]:
    """The files that a text names, in its order; numbers are as long as their ends: `{08..10}` is 08, 09, 10.

    Raises:
        SourceError: they are more than `MOST`.
    """
    found = text.split("::")
    place = 0
    while place < len(found):
        group = next((match for match in _GROUP.finditer(found[place]) if _choices(match[1])), None)
        if group is None:
            place += 1
            continue
        before, after = found[place][: group.start()], found[place][group.end() :]
        found[place : place + 1] = [f"{before}{choice}{after}" for choice in _choices(group[1])]
        if len(found) > MOST:
            raise SourceError(f"{text} names over {MOST:,} files", "name fewer, or give their folder")
    return found


def _choices(group: str) -> list[str]:
    """What stands for a group in braces; [] if it is none."""
    if ends := _RANGE.fullmatch(group):
        first, last = int(ends[1]), int(ends[2])
        width = len(ends[1]) if ends[1].startswith("0") or ends[2].startswith("0") else 0
        step = 1 if last >= first else -1
        numbers = range(first, last + step, step)[: MOST + 1]
        return [f"{number:0{width}d}" for number in numbers]
    return group.split(",") if "," in group else []
