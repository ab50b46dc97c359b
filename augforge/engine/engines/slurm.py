"""One task of a Slurm array job: all tasks run the same command at once, and each makes its share of what is missing.

    sbatch --array=0-63 --wrap "augforge run recipe.yaml --out /shared/run --engine slurm"

A stage can be decided on only when all its rows are there. So a task makes its share of the first work of which
something is missing, and ends; the array is run once for each work, one after the other, and the same command without
`--engine slurm` decides on the last one and writes the result. An item is the share of a task by what it is called, not
by what else is missing: tasks that begin late have the same shares, and no item is left or made twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import ClassVar

from augforge.data.bundle import Bundle
from augforge.data.ids import unit
from augforge.data.parts import Parts
from augforge.engine.engines.local import Local
from augforge.engine.work import Engine, Item, Place, Refused, Work
from augforge.errors import RecipeError, ShareDone

NEXT = "when all tasks have ended, run the array again; what is there is not made again"
LAST = "run the same command without --engine slurm: it decides, and writes the result"


class Slurm(Engine):
    """The share of this task, of SLURM_ARRAY_TASK_COUNT ones beginning with SLURM_ARRAY_TASK_MIN."""

    name: ClassVar[str] = "slurm"
    shares: ClassVar[bool] = True

    def __init__(self) -> None:
        """RecipeError outside of an array job."""
        try:
            number, first, self._count = (
                int(os.environ[f"SLURM_ARRAY_TASK_{name}"]) for name in ("ID", "MIN", "COUNT")
            )
        except (KeyError, ValueError):
            raise RecipeError(
                "the engine slurm is for array jobs, and SLURM_ARRAY_TASK_ID is not set", "use sbatch --array=0-63"
            ) from None
        self._place = number - first
        if not 0 <= self._place < self._count:
            raise RecipeError(
                f"task {number} is none of {self._count} tasks from {first} on", "number the array without gaps"
            )

    def run(self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place) -> Refused:
        """As `Engine.run` if nothing is missing; else this task's share is made.

        Raises:
            ShareDone: it is made, and the rows of others may be missing.
        """
        waiting = iter(items)
        if (first := next(waiting, None)) is None:
            return Refused()
        for each in parts.parts if isinstance(parts, Bundle) else (parts,):
            each.merges = False
        made = 0

        def mine() -> Iterator[Item]:
            nonlocal made
            for item in chain([first], waiting):
                if self._is_mine(work.name_of(item)):
                    made += work.count([item])
                    yield item

        Local().run(work, mine(), total, parts, place)
        raise ShareDone(
            f"{work.title}: task {self._place + 1} of {self._count} has made its share, {made:,} of {total:,} images",
            NEXT,
        )

    def train(self) -> None:
        """As `Engine.train`: the first task does, and the others end."""
        if self._place:
            raise ShareDone(f"a model is trained by the first of {self._count} tasks", NEXT)

    def finish(self) -> None:
        """As `Engine.finish`."""
        raise ShareDone("all rows are there, and nothing is left for an array job", LAST)

    def _is_mine(self, name: str) -> bool:
        return int(unit("share", name) * self._count) == self._place
