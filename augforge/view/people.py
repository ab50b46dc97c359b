"""What people decide after a filter: a later `filter: review` brings back what a filter dropped, and drops what it
kept, so that the filter does not settle these images."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.data.reviewed import read_reviewed
from augforge.errors import StoreError
from augforge.stages.filters.review import Review
from augforge.stages.stage import Stage
from augforge.view.index import Index
from augforge.view.reviewed import VERDICTS, Reviewed, stamp_of

CONFLICT = VERDICTS.index("conflict")


class Overruled(NamedTuple):
    """`rows` (m,) that a stage had dropped, by its place in the recipe `by` (m,), and that the one at `place` brought
    back."""

    place: int
    rows: NDArray[np.int64]
    by: NDArray[np.int64]


class People:
    """The stages of a run that follow people, and what these have decided.

    Args:
        index: the run.
        stages: those of its recipe, by their titles.
        beside: the folder of the recipe, where their files lie.
        open_: the decisions that the page writes.
    """

    def __init__(self, index: Index, stages: Mapping[str, Stage], beside: Path, open_: Reviewed) -> None:
        self._index, self._titles = index, list(stages)
        self._followed = [
            (place, _decisions(index, stage.path(beside), open_))
            for place, stage in enumerate(stages.values())
            if isinstance(stage, Review)
        ]

    def decide(self, place: int) -> NDArray[np.bool_]:
        """(n,) which samples people decide about now, in stages after the one at `place`; errors as `Reviewed.now`."""
        found = np.zeros(len(self._index), dtype=bool)
        for at, reviewed in self._followed:
            if at > place:
                verdict = reviewed.now().verdict
                found |= (verdict >= 0) & (verdict != CONFLICT)
        return found

    def stamp(self) -> str:
        """Another text whenever people have decided more."""
        return " ".join(str(stamp_of(reviewed.path)) for _, reviewed in self._followed)

    @cached_property
    def overruled(self) -> list[Overruled]:
        """What each of the stages brought back when the run was made; [] where it has noted nothing."""
        order = {title: place for place, title in enumerate(self._titles)}
        did = {}
        with suppress(StoreError):
            did = read_reviewed(self._index.folder)
        found = []
        for title, one in did.items():
            said = {identity: order.get(stage, -1) for identity, stage in _stages_of(one.get("overruled")).items()}
            rows, by = self._index.find(list(said)), np.array([*said.values()], dtype=np.int64)
            here = (rows >= 0) & (by >= 0)
            if title in order and here.any():
                found.append(Overruled(order[title], rows[here].astype(np.int64), by[here]))
        return found


def _stages_of(overruled: Any) -> dict[str, str]:
    """Which stage had dropped each image, of what a run has noted; {} where it has noted something else."""
    if not isinstance(overruled, dict):
        return {}
    return {str(i): str(was.get("stage")) for i, was in overruled.items() if isinstance(was, dict)}


def _decisions(index: Index, path: Path, open_: Reviewed) -> Reviewed:
    """The decisions in a file; those of the page if it is theirs, as they are read already."""
    return open_ if path.resolve() == open_.path.resolve() else Reviewed(index, path, open_.who)
