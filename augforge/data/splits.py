"""How many samples of each class are in each split, and whether groups of near-duplicates were kept together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from augforge.data.sample import is_evaluation

USUAL = ("train", "validation", "test")
"""The splits that come first, in this order."""
Counts = Mapping[str, Mapping[str, int]]


def in_order(splits: Iterable[str]) -> list[str]:
    """Names of splits, each once: the usual ones first, then others by name, and "" (none) last."""
    found = set(splits)
    others = sorted(found - {*USUAL, ""})
    return [*(name for name in USUAL if name in found), *others, *([""] if "" in found else [])]


def split_counts(
    splits: Sequence[str | None], labels: Sequence[str | None], classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Of n samples, how many are in each split and there of each class; {} where none of them has a split.

    Args:
        splits: (n,) their splits; those without one are counted under "".
        labels: (n,) their classes; those without one are counted under "", after all classes.
        classes: the classes, those without samples too.
    """
    if not any(splits):
        return {}
    counted = Counter((split or "", label or "") for split, label in zip(splits, labels, strict=True))
    names = list(dict.fromkeys([*classes, *sorted({label for _, label in counted} - set(classes))]))
    return {split: {name: counted[split, name] for name in names} for split in in_order(s for s, _ in counted)}


def kept_together(groups: Sequence[str], splits: Sequence[str]) -> dict[str, int]:
    """Of the groups (n,) of more than one of n samples: how many lie in one of the `splits` (n,) as a whole.

    Returns:
        `groups` and `grouped`, the groups that do and the samples in them, and `divided`, the groups that do not.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for group, split in zip(groups, splits, strict=True):
        members[group].append(split)
    several = [found for found in members.values() if len(found) > 1]
    whole = [found for found in several if len(set(found)) == 1]
    return {"groups": len(whole), "grouped": sum(map(len, whole)), "divided": len(several) - len(whole)}


def told(together: Mapping[str, int]) -> str:
    """`kept_together` in one sentence; "" of nothing."""
    if not together:
        return ""
    if not together["groups"] + together["divided"]:
        return "There are no near-duplicates to keep together."
    whole = f"{together['groups']:,} groups of near-duplicates ({together['grouped']:,} images) were kept together"
    apart = f"; {together['divided']:,} were divided by the splits of the source" if together["divided"] else ""
    return f"{whole}{apart}."


def joined(before: Sequence[str | None], after: Sequence[str]) -> str:
    """Which of n images joined evaluation splits that the source has, in one sentence; "" where it has none.

    Args:
        before: (n,) the splits that the source gives.
        after: (n,) those that a splitter gave.
    """
    there = Counter(split or "" for split in before if is_evaluation(split))
    if not there:
        return ""
    moved = zip(before, after, strict=True)
    more = Counter(new for old, new in moved if is_evaluation(new) and not is_evaluation(old))
    free = len(before) - there.total()
    return f"the source has splits already ({_listed(there)}); of its {free:,} other images these join: {_listed(more)}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {counts[split]:,}" for split in in_order(counts)) or "none"


def unlabelled_stay(labels: Sequence[str | None], splits: Sequence[str]) -> str:
    """How many of n images without a class stay in training because a share of each class is drawn; "" of none.

    Args:
        labels: (n,) the classes.
        splits: (n,) the splits that a splitter gave.
    """
    pairs = zip(labels, splits, strict=True)
    count = sum(not label and not is_evaluation(split) for label, split in pairs)
    if not count:
        return ""
    if count == len(labels):
        these = f"none of the {count:,} images has a label: all stay"
    else:
        these = f"{count:,} of {len(labels):,} images have no label and stay"
    return f"{these} in train, as a share of each class is drawn"
