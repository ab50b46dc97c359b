"""Run the stages that follow a review file; nothing is measured, so other decisions cost nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augforge.data import images
from augforge.data.ledger import Indices, Ledger
from augforge.data.reviewed import Reviewed as Did
from augforge.data.sample import Sample
from augforge.engine.context import RunContext
from augforge.errors import BadImage, RecipeError, shortened
from augforge.review.follow import Followed, followed
from augforge.review.lines import Line
from augforge.review.log import review_digest
from augforge.review.standing import Standing
from augforge.stages.filters.review import Review, Reviewed
from augforge.stages.selectors.review import Marked

DIGITS = 8
"""Of an id, in a message."""
COUNTED = ("gone", "changed", "conflicts", "unreadable")
"""Lists of review.json of which facts.json has the numbers."""


def run_review(stage: Review, title: str, context: RunContext) -> dict[str, int]:
    """Follow the decisions: bring back, drop and relabel images."""
    ledger, found = context.ledger, followed(stage.path(context.beside), context.ledger)
    decisions = found.stands.decisions()
    _say(stage, title, found, context)
    wanted = _at(ledger, [i for i, line in decisions.items() if line.verdict != "drop"])
    overruled, unreadable = _brought_back(wanted, context)
    _check_labels(stage, title, decisions, ledger)
    gone = _at(ledger, [i for i, line in decisions.items() if line.verdict == "drop"])
    gone = gone[ledger.kept[gone]]
    reasons = [decisions[i].text or "no reason given" for i in ledger.column("id", gone)]
    ledger.drop(gone, np.array([f"reviewed: {reason}" for reason in reasons], dtype=object), title)
    labels = _relabel(title, decisions, ledger)
    did = {"kept": len(overruled), "dropped": len(gone), "relabelled": len(labels)}
    _note(stage, title, found, {**did, "overruled": overruled, "labels": labels, "unreadable": unreadable}, context)
    return {"measured": 0, "reused": len(decisions)}


def run_marked(stage: Marked, title: str, context: RunContext) -> dict[str, int]:
    """Choose the marked ones of the images that are left."""
    ledger, found = context.ledger, followed(stage.path(context.beside), context.ledger)
    _say(stage, title, found, context)
    chosen = _at(ledger, marked_by(stage, found.stands))
    left = ledger.visible()
    gone = np.setdiff1d(left, chosen)
    ledger.drop(gone, "not marked", title)
    count = len(left) - len(gone)
    _note(stage, title, found, {"marked": len(chosen), "chosen": count}, context)
    return {"measured": 0, "reused": 0, "chosen": count}


def marked_by(stage: Marked, stands: Standing) -> list[str]:
    """The ids of the images with a mark that the stage asks for."""
    return [i for i, lines in stands.marks().items() if any(stage.mark in (None, line.text) for line in lines)]


def _at(ledger: Ledger, ids: Sequence[str]) -> Indices:
    """Where the samples with these ids are, rising."""
    found: Indices = np.sort(ledger.find(list(ids)))
    return found


def _brought_back(wanted: Indices, context: RunContext) -> tuple[dict[str, dict[str, str | None]], list[str]]:
    """Bring back those of `wanted` that a filter dropped.

    Returns:
        By which stage each was dropped and why, by id; and the ids of those that cannot be read.
    """
    ledger = context.ledger
    by_filter = ledger.coded("dropped_by").mapped(_is_filter, bool, wanted)
    candidates = wanted[by_filter]
    readable = np.array([_can_be_read(sample, context) for sample in ledger.samples(candidates)], dtype=bool)
    back = candidates[readable]
    ids, by, reasons = (ledger.column("id", back), *(ledger.coded(n).list(back) for n in ("dropped_by", "dropped")))
    ledger.bring_back(back)
    overruled = {i: {"stage": title, "reason": why} for i, title, why in zip(ids, by, reasons, strict=True)}
    return overruled, ledger.column("id", candidates[~readable])


def _is_filter(title: Any) -> bool:
    return title is not None and str(title).split("-")[1:2] == ["filter"]


def _can_be_read(sample: Sample, context: RunContext) -> bool:
    try:
        images.decode(context.pixels.bytes_of(sample))
    except BadImage:
        return False
    return True


def _check_labels(stage: Review, title: str, decisions: Mapping[str, Line], ledger: Ledger) -> None:
    """RecipeError where an image is relabelled as what is no class."""
    known = set(ledger.classes)
    for line in decisions.values():
        if line.label is not None and line.label not in known and not stage.new_classes:
            raise RecipeError(
                f"{title}: {line.who} relabelled {line.sample[:DIGITS]} as {line.label!r}, which is no class of the "
                "sources",
                f"their classes are {shortened(ledger.classes) or 'none'}; new-classes: true lets it bring new ones",
            )


def _relabel(title: str, decisions: Mapping[str, Line], ledger: Ledger) -> dict[str, dict[str, str | None]]:
    """Give the kept ones of the relabelled images their labels; what each was and is, by id.

    What labelled them, which goes with them into the data set and all exports, says what the label was before.
    """
    places = _at(ledger, [i for i, line in decisions.items() if line.verdict == "relabel"])
    places = places[ledger.kept[places]]
    ids, before = ledger.column("id", places), ledger.column("label", places)
    after = [str(decisions[identity].label) for identity in ids]
    for old in dict.fromkeys(before):
        here = [number for number, label in enumerate(before) if label == old]
        by = title if old is None else f"{title}, was {old}"
        ledger.relabel(places[here], [after[number] for number in here], by, new_classes=True)
    return {i: {"was": old, "is": new} for i, old, new in zip(ids, before, after, strict=True)}


def _say(stage: Reviewed, title: str, found: Followed, context: RunContext) -> None:
    """Say what of the file cannot be followed."""
    if not found.lines:
        context.progress.about(f"{title}: nothing is decided yet: {stage.path(context.beside)} has no line")
    conflicts = tuple(conflict.sample for conflict in found.stands.conflicts())
    told = {"are gone": found.gone, "have other bytes now": found.changed, "are disagreed on": conflicts}
    for what, ids in told.items():
        if ids:
            few = shortened((identity[:DIGITS] for identity in ids), 4)
            context.progress.about(f"{title}: {len(ids):,} of the images that were reviewed {what}: {few}")


def _note(stage: Reviewed, title: str, found: Followed, did: Mapping[str, Any], context: RunContext) -> None:
    """Note what came of the file, for facts.json and review.json."""
    conflicts = [conflict.plain() for conflict in found.stands.conflicts()]
    unused = {"gone": list(found.gone), "changed": list(found.changed), "conflicts": conflicts}
    listed = {name: value for name, value in {**did, **unused}.items() if not isinstance(value, int)}
    counts = {name: value for name, value in did.items() if isinstance(value, int)}
    context.facts[title] = {**counts, **{name: len(listed[name]) for name in COUNTED if name in listed}}
    noted: Did = {"file": stage.file, "digest": review_digest(stage.path(context.beside)), **counts, **listed}
    context.reviewed[title] = {**noted, "lines": [line.plain() for line in found.lines]}
