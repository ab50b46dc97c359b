"""What it would cost to make again what a cut takes away: tries by the acceptance then, time by the measured rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.engine.rates import Rate, measured_rate
from augforge.recipe.acceptance import ENOUGH, TRIES
from augforge.stages.generator import Generator
from augforge.view.cut import Cut, Filtering
from augforge.view.index import Index

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Yield:
    """Of the images of one generator, by class (c + 1,; the last one without): made, accepted, accepted then."""

    made: Counts
    accepted: Counts
    then: Counts


def refill(index: Index, filtering: Filtering, cut: Cut) -> list[dict[str, Any]]:
    """For each generator: what the cut takes away of its accepted images, and the tries and seconds to replace them.

    An image is accepted unless its generator or a filter dropped it; see `augforge.engine.estimate`. The share that is
    accepted then is that of all images made so far, of the class if any of it was made; where nothing is accepted, as
    many tries are reckoned as `max-tries` allows.
    """
    found = []
    for title, stage in filtering.stages.items():
        if isinstance(stage, Generator) and title in index.values["stage"]:
            rows = np.flatnonzero(index.column("stage") == index.code("stage", title))
            found.append(_cost(index, title, stage, _yield(index, rows, title, cut)))
    return [each for each in found if each["lost"]]


def _yield(index: Index, rows: NDArray[np.int64], title: str, cut: Cut) -> _Yield:
    size = len(index.values["label"])
    classes = index.column("label")[rows] % (size + 1)  # -1, without a label, is the last place
    accepted = ~_rejected(index, title)[rows]
    then = accepted.copy()
    then[np.isin(rows, cut.go)] = False
    then[np.isin(rows, cut.come)] = True
    made, now, later = (np.bincount(classes[mask], minlength=size + 1) for mask in (slice(None), accepted, then))
    return _Yield(made, now, later)


def _rejected(index: Index, title: str) -> NDArray[np.bool_]:
    """(n,) whether the stage `title` or a filter dropped each row."""
    by = [name == title or name.partition("-")[2].startswith("filter-") for name in index.values["by"]]
    enough = np.array([reason == ENOUGH for reason in index.values["reason"]] + [False], dtype=bool)
    rejecting = np.array([*by, False], dtype=bool)
    found: NDArray[np.bool_] = rejecting[index.column("by")] & ~enough[index.column("reason")]
    return found


def _cost(index: Index, title: str, stage: Generator, counts: _Yield) -> dict[str, Any]:
    rate = _rate(index, title)
    total = counts.then.sum() / max(1, counts.made.sum())
    classes: list[dict[str, Any]] = []
    for place in np.flatnonzero(counts.accepted > counts.then).tolist():
        lost = int(counts.accepted[place] - counts.then[place])
        made = int(counts.made[place])
        tries = _tries(lost, counts.then[place] / made if made else total, stage.max_tries or TRIES)
        label = index.values["label"][place] if place < len(index.values["label"]) else None
        classes.append({"label": label, "lost": lost, "tries": tries, "seconds": _seconds(rate, tries)})
    tries = sum(each["tries"] for each in classes)
    return {
        "stage": title,
        "made": int(counts.made.sum()),
        "accepted": int(counts.accepted.sum()),
        "accepted_then": int(counts.then.sum()),
        "lost": sum(each["lost"] for each in classes),
        "tries": tries,
        "seconds": _seconds(rate, tries),
        "device": None if rate is None else rate.device,
        "classes": classes,
    }


def _tries(lost: int, share: float, most: int) -> int:
    return lost * most if share <= 0 else min(lost * most, math.ceil(lost / share))


def _seconds(rate: Rate | None, tries: int) -> float | None:
    return None if rate is None else rate.seconds_per_image * tries


def _rate(index: Index, title: str) -> Rate | None:
    """The measured rate of the generator called `title`, from beside the images that it made."""
    rows = np.flatnonzero(index.column("stage") == index.code("stage", title))[:1]
    (row,) = index.texts.take(rows, ["ref"])
    place, _, name = (row["ref"] or "").partition(":")
    if place != "generated" or "/" in name or name in ("", ".", ".."):
        return None
    return measured_rate(index.folder / "parts" / name)
