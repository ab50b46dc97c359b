"""Splits that never divide a group, such as one of near-duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, get_args

from augforge.data.ids import unit

Rule = Literal["quota", "gate"]
_PURPOSE = "split-by-group"


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that stay together; `draw` in [0, 1) is a hash of the smallest id."""

    draw: float
    smallest: str
    rows: list[int]
    label: str


def split_by_group(
    ids: Sequence[str],
    groups: Sequence[Hashable],
    labels: Sequence[str | None],
    shares: Mapping[str, float],
    *,
    rule: Rule = "quota",
) -> list[str | None]:
    """(n,) the split of each image, None for those that are left for training; a group goes to one split as a whole.

    A group counts, with all its images, for the class that most of them have (the first in sorted order of equals),
    and is drawn by a hash of its smallest id. Neither rule depends on the order of images or of groups.

    - *quota*, which is used unless told otherwise: each class's groups are lined up by their draws, and the splits
      take from the front in the order of `shares`. A group goes where its middle falls, so that each split has its
      share of each class to within half of the group on either edge. A new image moves those on an edge at most:
      one of its class for each edge, if there are no groups.
    - *gate*: a group whose draw is below the share goes to the split, whatever else there is. A new image that joins
      no group moves none, but shares are met on average only: 20 % of 100 single images is 20 +- 4.

    The quota is used because few images of a class, where a hash may leave a test set empty, are what augmentation
    is for; the gate is for collections that grow. By both, a larger share only adds groups to a split that is the
    only one or the first.

    Args:
        ids: (n,) unique.
        groups: (n,) anything that is equal within a group, such as what `groups_of` answers.
        labels: (n,) classes, None for none.
        shares: of the images of each class, by the name of the split; at most 1 in all.
        rule: "quota" or "gate".

    Raises:
        ValueError: shares below 0 or above 1 in all, ids that come twice, or groups or labels of another length.
    """
    _check(ids, groups, labels, shares, rule)
    lines: dict[str, list[_Group]] = defaultdict(list)
    for group in _groups(ids, groups, labels):
        lines[group.label].append(group)
    splits: list[str | None] = [None] * len(ids)
    for line in lines.values():
        line.sort(key=lambda group: (group.draw, group.smallest))
        places = _middles(line) if rule == "quota" else (group.draw for group in line)
        for group, place in zip(line, places, strict=True):
            for row in group.rows:
                splits[row] = _split_at(place, shares)
    return splits


def _groups(ids: Sequence[str], groups: Sequence[Hashable], labels: Sequence[str | None]) -> Iterator[_Group]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, name in enumerate(groups):
        members[name].append(row)
    for rows in members.values():
        smallest = min(ids[row] for row in rows)
        counts = Counter(labels[row] or "" for row in rows)
        label = min(counts, key=lambda name: (-counts[name], name))
        yield _Group(unit(_PURPOSE, smallest), smallest, rows, label)


def _middles(line: list[_Group]) -> Iterator[float]:
    """Where the middle of each group falls on the class's images in a row, from 0 to 1."""
    total, before = sum(len(group.rows) for group in line), 0
    for group in line:
        yield (before + len(group.rows) / 2) / total
        before += len(group.rows)


def _split_at(place: float, shares: Mapping[str, float]) -> str | None:
    edge = 0.0
    for name, share in shares.items():
        edge += share
        if place < edge + 1e-12:
            return name
    return None


def _check(
    ids: Sequence[str],
    groups: Sequence[Hashable],
    labels: Sequence[str | None],
    shares: Mapping[str, float],
    rule: Rule,
) -> None:
    if len(groups) != len(ids) or len(labels) != len(ids):
        raise ValueError(f"there are {len(groups)} groups and {len(labels)} labels for {len(ids)} ids")
    if len(set(ids)) != len(ids):
        raise ValueError("an id comes twice")
    if any(not 0 <= share <= 1 for share in shares.values()) or fsum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares are {dict(shares)}: give numbers from 0 to 1, and no more than 1 in all")
    if rule not in get_args(Rule):
        raise ValueError(f"rule is {rule!r}: give one of {', '.join(get_args(Rule))}")
