"""Generate and filter in rounds, until so many new images of each class are accepted.

How many images a round makes depends on what the rounds before it made and accepted, and on nothing else. The images of
a class are the same whatever the rounds, so a run that was killed goes on through the same rounds with what it has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from augforge.engine.context import RunContext
from augforge.engine.jobs import amounts, plan_by_class
from augforge.engine.likeness import likeness_for
from augforge.engine.limits import check_amounts
from augforge.engine.runners.generate import generate_jobs, generator_parts
from augforge.engine.runners.operate import operate_jobs
from augforge.engine.runners.table import run_stage
from augforge.recipe.acceptance import ENOUGH, TRIES, accepting
from augforge.stages.generator import Generator, Job
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.stage import Stage

Block = Sequence[tuple[str, Stage]]
Jobs = Mapping[str | None, Sequence[Job]]


def blocks(titles: Sequence[str], stages: Sequence[Stage]) -> list[Block]:
    """The stages that go in rounds together, a generator before its filters; every other one alone."""
    found: list[Block] = []
    named, place = list(zip(titles, stages, strict=True)), 0
    while place < len(named):
        stage = stages[place]
        loops = isinstance(stage, Generator) and stage.until_accepted is not None
        found.append(named[place : place + 1 + (len(accepting(stages, place)) if loops else 0)])
        place += len(found[-1])
    return found


def _merged(jobs: Sequence[Job], tries: Jobs) -> list[Job]:
    """The jobs of the rounds so far, and those of this one that are new."""
    there = {job.sample.id for job in jobs}
    return [*jobs, *(job for each in tries.values() for job in each if job.sample.id not in there)]


class Rounds:
    """The rounds of one generator and the filters after it, on the ledger of a run."""

    def __init__(self, block: Block, context: RunContext) -> None:
        (self.title, stage), *self.filters = block
        if not isinstance(stage, Generator) or stage.until_accepted is None:
            raise TypeError(f"{self.title} has no until-accepted: there are no rounds to go")
        self.stage, self.target = stage, stage.until_accepted
        self._context, self._ledger = context, context.ledger
        self._start = context.ledger.copy()
        self._likeness = likeness_for(stage, self.title, context)
        self._computed: Counter[str] = Counter()

    def run(self) -> list[dict[str, Any]]:
        """Go round until every class has enough or was tried often enough; a row for each stage, as in a summary."""
        folder = generator_parts(self.stage, self._context.store, self._context.seed)[1].folder
        check_amounts(self.stage, self._ledger, folder, self._context.yes)
        asked = {label: self._full(count) for label, count in amounts(self.stage, self._ledger).items()}
        jobs: list[Job] = []
        while True:
            tries = self._planned(asked)
            jobs = _merged(jobs, tries)
            rows = self._round(jobs)
            accepted = {label: self._accepted(each) for label, each in tries.items()}
            again = {label: self._next(len(tries[label]), len(accepted[label])) for label in asked}
            exhausted = [label for label in asked if again[label] <= asked[label] or len(tries[label]) < asked[label]]
            if len(exhausted) == len(asked):
                return self._finish(rows, tries, accepted)
            self._say(accepted, sum(again.values()) - sum(asked.values()))
            asked = {label: max(asked[label], again[label]) for label in asked}

    def _planned(self, asked: Mapping[str | None, int]) -> Jobs:
        plan = plan_by_class(self.stage, self._start, self._context.seed, self.title, asked, self._likeness)
        return {label: list(each) for label, each in plan.items()}

    def _round(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Make and judge all `jobs`, beginning with the ledger as it was."""
        self._ledger.restore(self._start)
        before = len(self._ledger.visible())
        self._context.progress.stage(self.title)
        if isinstance(self.stage, OperatorGenerator):
            did = operate_jobs(self.stage, jobs, self._context)
        else:
            did = generate_jobs(self.stage, jobs, self._context)
        rows = [self._row(self.title, before, did, "generated")]
        for title, stage in self.filters:
            self._context.progress.stage(title)
            before = len(self._ledger.visible())
            rows.append(self._row(title, before, run_stage(stage, title, self._context), "measured"))
        return rows

    def _row(self, title: str, before: int, did: Mapping[str, int], computed: str) -> dict[str, Any]:
        """What one stage did, counting what it computed in the rounds before this one, too."""
        total = did[computed] + did.get("reused", 0)
        self._computed[title] += did[computed]
        counts = {computed: self._computed[title], "reused": max(0, total - self._computed[title])}
        return {"stage": title, "in": before, "out": len(self._ledger.visible()), **did, **counts}

    def _accepted(self, jobs: Sequence[Job]) -> list[int]:
        """Where in the ledger the accepted ones of `jobs` are, in the order in which they were tried."""
        places = self._ledger.find([job.sample.id for job in jobs])
        found: list[int] = places[self._ledger.kept[places]].tolist()
        return found

    def _next(self, tries: int, accepted: int) -> int:
        """How many tries in all the next round should make of a class, judging by the share that was accepted.

        A little more than is likely needed, so that one more round mostly does; but at most twice as many as so far,
        since few tries say little of the share.
        """
        missing = self.target - accepted
        if missing <= 0 or not tries:
            return tries
        likely = math.ceil((missing + math.sqrt(missing)) * tries / accepted) if accepted else tries
        limit = self.target * (self.stage.max_tries or TRIES)
        return self._full(min(limit, tries + min(tries, likely)))

    def _full(self, count: int) -> int:
        """Up to whole batches where the images of a batch influence each other."""
        return -(-count // int(self.stage.batch)) * int(self.stage.batch) if self.stage.batch_dependent else count

    def _say(self, accepted: Mapping[str | None, Sequence[int]], more: int) -> None:
        done = sum(min(len(each), self.target) for each in accepted.values())
        text = f"{done:,} of {self.target * len(accepted):,} accepted, {more:,} more to try"
        self._context.progress.say(f"{self.stage.name}: {text}")

    def _finish(
        self, rows: list[dict[str, Any]], tries: Jobs, accepted: Mapping[str | None, Sequence[int]]
    ) -> list[dict[str, Any]]:
        """Drop what was accepted beyond the number, and say which class has fewer."""
        beyond = np.array([place for each in accepted.values() for place in each[self.target :]], dtype=np.int64)
        self._ledger.drop(beyond, ENOUGH, self.title)
        rows[-1]["out"] = len(self._ledger.visible())
        short = {label: self.target - len(each) for label, each in accepted.items() if len(each) < self.target}
        for label, missing in short.items():
            name = "images without a class" if label is None else f"class {label!r}"
            text = f"{self.target - missing:,} of {self.target:,} accepted after {len(tries[label]):,} tries"
            self._context.progress.say(f"{self.stage.name}: {name}: {text}, {missing:,} fewer than asked for")
        if short:
            rows[0]["short"] = {label or "": missing for label, missing in short.items()}
        return rows
