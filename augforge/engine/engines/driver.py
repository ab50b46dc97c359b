"""The driver of workers, whatever they are: it hands units out, takes note of what is done, and decides what is lost.

A worker that dies is replaced, one that comes late is used, and a unit that is slow near the end is given to a second
worker: both write the same part. So the rows never depend on who made them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import Any

from augforge.data.away import InBucket, in_bucket
from augforge.data.bundle import Bundle, BundleWriter
from augforge.data.parts import Parts, Writer
from augforge.engine.engines.arrivals import WAITING, Arrivals
from augforge.engine.engines.crew import Answered, Crew, Died, Event
from augforge.engine.engines.differences import Standard
from augforge.engine.engines.handing import Handing
from augforge.engine.engines.orders import Order, Outcome, Report, Task
from augforge.engine.engines.token import token
from augforge.engine.rates import timing
from augforge.engine.work import Item, Made, Place, Refused, Setting, Work
from augforge.errors import AugforgeError
from augforge.progress import Bar

Clock = Callable[[], float]
TRIES = 3
"""Workers that may end while they open a work before it is given up, where none could open it."""
OFTEN = 12
"""The same, one after the other, where some could."""
LOOK = 0.5
"""Seconds after which it is looked for what is slow, and for new room, if nothing happens."""
REMARK = 10.0
PATIENCE = 600.0
"""Seconds for which a work waits without any worker: after the first it is said, after the second it ends."""
ON = "what was committed is kept: run the same command to go on"


class Driver:
    """Runs works with a crew, one after the other. With `mixed` workers may have devices of different kinds."""

    def __init__(self, crew: Crew, mixed: bool = False, clock: Clock = time.monotonic) -> None:
        self.crew, self.mixed, self.clock = crew, mixed, clock
        self.twice = 0
        """Units that were done by two workers."""
        self.serial = 0
        """The number of the work that is done now."""

    def run(
        self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place, most: int
    ) -> Refused:
        """Do `work` as `Engine.run` says, with `most` workers at most.

        Raises:
            AugforgeError: no worker can open the work, one differs from this process, or what one says.
            RuntimeError: a defect, with the traceback of the worker.
        """
        units = work.units(items)
        if (first := next(units, None)) is None:
            return Refused()
        self.serial += 1
        try:
            with parts.writing() as writer, token(parts.target) as path, ExitStack() as stack:
                models = tuple(work.models()) if self.crew.elsewhere else ()
                setting = Setting.of(place, work)
                run = in_bucket([parts.target.folder, *setting.folders])
                task = Task(work, setting, parts.target, path, models, run)
                bar = stack.enter_context(place.progress.bar(work.title, total, work.counted))
                books = Books(work, parts, writer, bar, stack, run)
                handing = Handing(work, chain([first], units), self.clock)
                Shift(self, task, handing, books, place, most).until_done()
        except BaseException:
            self.crew.close()  # else they would go on with what nobody waits for
            raise
        return Refused(books.dropped, books.unjudged)

    def close(self) -> None:
        """End the workers."""
        self.crew.close()


class Books:
    """What has come of a work so far."""

    def __init__(
        self,
        work: Work[Any],
        parts: Parts | Bundle,
        writer: Writer | BundleWriter,
        bar: Bar,
        stack: ExitStack,
        run: InBucket | None,
    ) -> None:
        self._work, self._parts, self._writer, self._stack = work, parts, writer, stack
        self._arrivals = stack.enter_context(Arrivals(run))
        self.bar = bar
        self.dropped: dict[str, str] = {}
        self.unjudged: dict[str, str] = {}
        self.any = False
        self._count: Callable[[int], None] | None = None

    def begin(self, facts: Any, devices: int) -> None:
        """The first worker is ready: from now on it is measured how fast it goes."""
        if self._count is None:
            self._count = self._stack.enter_context(timing(self._work, self._parts, facts, devices))

    def add(self, outcome: Outcome) -> None:
        """A unit is done, and its part written; it counts when that is here."""
        self.any = True
        self._arrivals.expect(outcome, self._parts.folder.absolute(), partial(self._count_in, outcome))

    def settle(self, end: bool = False) -> None:
        """Count what has come meanwhile, at the `end` all."""
        self._arrivals.settle(0 if end else WAITING)

    def _count_in(self, outcome: Outcome) -> None:
        self._note(outcome.refused)
        if self._count is not None:
            self._count(outcome.images)
        self.bar.advance(outcome.images)

    def lose(self, items: tuple[Any, ...], why: str) -> None:
        """Items are given up: what stands for them is written here."""
        made: Made = self._work.lost(items, f"it ends the worker ({why})")
        self._writer.add(made.rows, made.size)
        self._note(made.refused)
        self.bar.advance(self._work.count(items))

    def _note(self, refused: Refused) -> None:
        self.dropped.update(refused.dropped)
        self.unjudged.update(refused.unjudged)


class Shift:
    """One work, from the first hand-out to the last answer."""

    def __init__(self, driver: Driver, task: Task, handing: Handing, books: Books, place: Place, most: int) -> None:
        self._driver, self._crew, self._task, self._handing = driver, driver.crew, task, handing
        self._books, self._say, self._most = books, place.progress.say, most
        self._serial, self._standard = driver.serial, Standard(task, driver.mixed)
        self._open: set[int] = set()
        self._asked: set[int] = set()
        self._unfit: set[int] = set()
        self._ended = 0
        self._tries = TRIES
        self._problem: AugforgeError | RuntimeError | None = None
        self._alone = driver.clock()
        self._remarked = False

    def until_done(self) -> None:
        """Hand out, and take what comes, until all is done."""
        self._gather()
        while not self._hand_out():
            for event in self._crew.wait(LOOK):
                self._take(event)
            self._books.settle()
            self._gather()
        self._books.settle(end=True)

    def _gather(self) -> None:
        """Ask for workers, and have those that are new open the work."""
        if self._ended < self._tries:
            self._crew.staff(self._most)
        for worker in set(self._crew.workers) - self._open - self._asked - self._unfit:
            self._asked.add(worker)
            self._crew.hand(worker, Order(self._serial, self._task))
        if self._open or self._asked:
            self._alone = self._driver.clock()
        else:
            self._wait_or_give_up()

    def _wait_or_give_up(self) -> None:
        if self._problem is not None and (self._ended >= self._tries or not self._crew.expected):
            raise self._problem
        waited = self._driver.clock() - self._alone
        if waited >= PATIENCE:
            raise AugforgeError(f"{self._task.work.title}: no worker came in {PATIENCE / 60:.0f} minutes", ON)
        if waited >= REMARK and not self._remarked:
            self._remarked = True
            self._say(f"{self._task.work.title}: waiting for a worker: none has room yet")

    def _hand_out(self) -> bool:
        """Give every worker that is ready what it is to do next; whether all is done."""
        for worker in sorted(self._open):
            while (unit := self._handing.next_for(worker)) is not None:
                self._crew.hand(worker, Order(self._serial, unit))
        return self._handing.done

    def _take(self, event: Event) -> None:
        if isinstance(event, Died):
            self._bury(event)
        elif event.answer.serial == self._serial:
            self._hear(event)

    def _bury(self, event: Died) -> None:
        loading = event.worker not in self._open | self._unfit
        for known in (self._open, self._asked, self._unfit):
            known.discard(event.worker)
        if loading and event.blames:
            self._ended += 1
            self._problem = AugforgeError(
                f"{self._task.work.title}: a worker ended while it got ready ({event.why})", ON
            )
        self._handing.died(event.worker, event.blames)
        for items in self._handing.given_up():
            self._books.lose(items, event.why)
        self._note()

    def _hear(self, event: Answered) -> None:
        what = event.answer.what
        if isinstance(what, Report):
            self._welcome(event.worker, what)
        elif isinstance(what, Outcome):
            if self._handing.answered(event.worker, what.number):
                self._books.add(what)
            else:
                self._driver.twice += 1
        elif what.number is not None:
            raise what.error
        else:
            self._leave_out(event.worker, what.error)

    def _welcome(self, worker: int, report: Report) -> None:
        """A worker has opened the work: it is used, unless it differs."""
        if (difference := self._standard.difference(report)) is not None:
            if not self._books.any:
                raise difference
            self._leave_out(worker, difference)
            return
        self._asked.discard(worker)
        self._open.add(worker)
        self._ended, self._tries = 0, OFTEN
        self._books.begin(report.facts, self._most)
        self._note()

    def _leave_out(self, worker: int, error: AugforgeError | RuntimeError) -> None:
        """A worker cannot be used for this work; the others go on."""
        self._asked.discard(worker)
        self._unfit.add(worker)
        self._problem = error
        if self._open:
            self._say(f"{self._task.work.title}: a worker is not used: {error}")

    def _note(self) -> None:
        count = len(self._open)
        self._books.bar.note(f"{count} worker{'s' if count != 1 else ''}")
