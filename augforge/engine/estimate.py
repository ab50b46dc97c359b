"""What a generator is asked for, class by class: how much for how much real data, what it will likely yield and cost.

What an amount is worth is known only in part. In the theory and simulations of *Toward Understanding Generative Data
Augmentation* (Zheng et al., NeurIPS 2023) more synthetic images help where real ones are few for their dimension, less
and less, and hardly change anything elsewhere; no ratio is the best one in general.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from augforge.data.ledger import Ledger
from augforge.engine.jobs import amounts, training_counts
from augforge.engine.rates import Rate
from augforge.recipe.acceptance import ENOUGH, TRIES
from augforge.stages.generator import Generator

HIGH = 10.0
"""New images for each real one, above which a plan warns."""
NO_BEST = "No ratio is the best one in general: try several, and measure (`augforge evaluate`)."
Tried = Mapping[str, tuple[int, int]]
"""How many images of each class ("" for none) were made so far, and how many of them accepted."""


@dataclass(frozen=True, slots=True)
class ClassOutlook:
    """One class. `acceptance` is the share of the `made` ones that was accepted, of all classes where none was made.

    With `until-accepted`, `target` are accepted images and `tries` what is likely made for them; else both are what
    is asked for. `expected` is how many of them will likely pass. None: nothing was measured.
    """

    label: str
    real: int
    target: int
    ratio: float | None
    made: int
    accepted: int
    acceptance: float | None
    tries: int
    expected: float | None
    todo: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """A generator's classes; `seconds` to make what is missing, on its devices together, and `device_hours` of all."""

    classes: tuple[ClassOutlook, ...]
    warnings: tuple[str, ...]
    until: bool = False
    device: str | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    device_hours: float | None = None


def tried_so_far(folder: Path, title: str, rejected: Collection[str] | None = None) -> dict[str, tuple[int, int]]:
    """What the ledger of the last run into `folder` says of the images of a stage: made and accepted, by class.

    An image is accepted unless its generator or a filter dropped it, or now would (the ids `rejected`, if given); not
    being chosen by a selector is no rejection. One that has no label of its own counts for the class of its first
    parent.
    """
    path = folder / "samples.parquet"
    if not path.is_file():
        return {}
    columns = ["id", "label", "stage", "dropped", "dropped_by", "parents"]
    rows = pq.read_table(path, columns=columns, filters=[("stage", "=", title)]).to_pylist()
    labels = _labels(path, rows)
    made, accepted = Counter[str](), Counter[str]()
    for label, row in zip(labels, rows, strict=True):
        made[label] += 1
        accepted[label] += not (_rejected(row, title) if rejected is None else row["id"] in rejected)
    return {label: (made[label], accepted[label]) for label in made}


def _rejected(row: Mapping[str, Any], title: str) -> bool:
    """Whether the stage `title` or a filter dropped an image."""
    by = row["dropped_by"] or ""
    return row["dropped"] != ENOUGH and (by == title or by.partition("-")[2].startswith("filter-"))


def _labels(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The label of each row of a ledger, or that of its first parent; "" without one."""
    firsts = [row["parents"][0] if row["label"] is None and row["parents"] else "" for row in rows]
    known: dict[str, str] = {}
    if any(firsts):
        parents = pq.read_table(path, columns=["id", "label"], filters=[("id", "in", set(firsts))]).to_pylist()
        known = {row["id"]: row["label"] for row in parents if row["label"]}
    return [row["label"] or known.get(first, "") for row, first in zip(rows, firsts, strict=True)]


def class_outlooks(stage: Generator, ledger: Ledger, tried: Tried) -> dict[str | None, ClassOutlook]:
    """What is asked for of each class, and what it will likely yield."""
    real = training_counts(ledger, "real", not stage.needs_labels)
    made, accepted = (sum(counts[place] for counts in tried.values()) for place in (0, 1))
    overall = accepted / made if made else None
    found = {}
    for label, target in amounts(stage, ledger).items():
        mine = tried.get(_counted_as(stage, label), (0, 0))
        share = mine[1] / mine[0] if mine[0] else overall
        tries = _tries(stage, target, mine, share)
        expected = None if share is None else _expected(stage, target, tries, share)
        count = int(real.get(label, 0))
        ratio = target / count if count else None
        found[label] = ClassOutlook(label or "", count, target, ratio, *mine, share, tries, expected)
    return found


def _counted_as(stage: Generator, label: str | None) -> str:
    """The class for which `tried_so_far` counts the images made of one of class `label`."""
    return stage.child_label(label) or label or ""


def _tries(stage: Generator, target: int, mine: tuple[int, int], share: float | None) -> int:
    """How many images will likely be made for those that are target."""
    if stage.until_accepted is None or share is None:
        return target
    made, accepted = mine
    if accepted >= target:
        return made
    limit = target * (stage.max_tries or TRIES)
    return limit if share == 0 else max(target, min(limit, math.ceil(target / share)))


def _expected(stage: Generator, target: int, tries: int, share: float) -> float:
    passing = tries * share
    return min(float(target), passing) if stage.until_accepted is not None else passing


def outlook(
    stage: Generator,
    classes: Mapping[str | None, ClassOutlook],
    todo: Mapping[str | None, int],
    rate: Rate | None,
) -> Outlook:
    """The classes with what is still `todo` of each, its cost by a measured `rate`, and warnings."""
    total = sum(todo.values())
    each = None if rate is None else rate.seconds_per_image / stage.processes_for(total)
    with_cost = tuple(
        replace(one, todo=todo[label], seconds=None if each is None else each * todo[label])
        for label, one in classes.items()
    )
    until = stage.until_accepted is not None
    if rate is None or each is None:
        return Outlook(with_cost, warnings_of(with_cost, until), until)
    hours = rate.seconds_per_image * total / 3600
    return Outlook(with_cost, warnings_of(with_cost, until), until, rate.device, 1 / each, each * total, hours)


def warnings_of(classes: tuple[ClassOutlook, ...], until: bool) -> tuple[str, ...]:
    """What to think of before it is made."""
    said = [*_high_ratios(classes), *(_likely_short(classes) if until else ())]
    return (*said, NO_BEST) if any(one.target for one in classes) else tuple(said)


def _high_ratios(classes: tuple[ClassOutlook, ...]) -> Iterator[str]:
    """That some classes get very many new images for each real one."""
    high = {one.label: one.ratio for one in classes if one.ratio is not None and one.ratio > HIGH}
    if high:
        most = max(high, key=lambda label: high[label])
        yield (
            f"{len(high):,} of {len(classes):,} classes get over {HIGH:g} new images for each real one (up to "
            f"{high[most]:,.1f}, {most!r}): that pays only where real images are few for how much they vary."
        )


def _likely_short(classes: tuple[ClassOutlook, ...]) -> Iterator[str]:
    """Which classes will likely have fewer accepted images than asked for."""
    for one in classes:
        if one.expected is not None and one.expected < one.target - 0.5:
            yield (
                f"{one.label!r} will likely fall short: {one.acceptance or 0:.0%} accepted so far give "
                f"{one.expected:,.0f} of {one.target:,} in {one.tries:,} tries."
            )
