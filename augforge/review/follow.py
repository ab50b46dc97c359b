"""A review file beside the samples of a run: what of it counts, and which images it speaks of that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from augforge.data.ledger import Ledger
from augforge.review.lines import Line
from augforge.review.log import read_review, review_digest
from augforge.review.standing import Standing, in_order, standing
from augforge.stages.filters.review import Reviewed
from augforge.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class Followed:
    """All `lines` of a file by time, what `stands` of them, and ids that are `gone` from the ledger or `changed`."""

    lines: Sequence[Line]
    stands: Standing
    gone: tuple[str, ...]
    changed: tuple[str, ...]


def followed(path: Path, ledger: Ledger) -> Followed:
    """What a review file says about the samples of a ledger; a line about other bytes does not count.

    Raises:
        StoreError: a line of it is none.
    """
    lines = in_order(read_review(path))
    stands = standing(lines)
    ids = list(stands.by_sample)
    places = ledger.find(ids)
    here = [identity for identity, place in zip(ids, places.tolist(), strict=True) if place >= 0]
    digests = dict(zip(here, ledger.column("digest", places[places >= 0]), strict=True))
    current = stands.current(digests)
    changed = tuple(sorted(i for i in here if current.by_sample.get(i) != stands.by_sample[i]))
    gone = tuple(sorted(stands.by_sample.keys() - digests.keys()))
    return Followed(lines, current, gone, changed)


def review_digests(stages: Sequence[Stage], beside: Path) -> dict[str, str]:
    """The digest of each review file that stages follow, by the name that the recipe gives it; "" of one to come."""
    return {stage.file: review_digest(stage.path(beside)) for stage in stages if isinstance(stage, Reviewed)}


def check_reviews(stages: Sequence[Stage], beside: Path) -> None:
    """StoreError where a review file that stages follow is damaged; no source is read for it."""
    for stage in stages:
        if isinstance(stage, Reviewed):
            read_review(stage.path(beside))
