"""A crew that is a script: workers that answer, die, dawdle and come late as they are told, by a clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from augforge.engine.engines.crew import Answered, Died, Event
from augforge.engine.engines.orders import Answer, Failed, Order, Outcome, Report, Task, versions
from augforge.engine.engines.worker import failed
from augforge.engine.work import Refused, Unit
from augforge.errors import AugforgeError


@dataclass
class Fake:
    """One worker: what it was handed, and how long (ticks) it takes for each."""

    pace: int = 1
    queue: deque[Order] = field(default_factory=deque)
    since: int = 0
    task: Task | None = None

    @property
    def takes(self) -> int:
        """Ticks for what it does now; a work is opened in one."""
        return 1 if isinstance(self.queue[0].what, Task) else self.pace


@dataclass
class FakeCrew:
    """Workers number `room` at most; `late` has (tick, more room). A tick is a call of `wait`.

    Attributes:
        kills: at these ticks the worker with the most to do dies; `innocent` says that this is nobody's fault.
        deadly: items that end whoever makes them.
        paces: how many ticks a unit takes for each worker, in turn.
        bad: workers that cannot open a work, with the error.
        report: what differs in the reports of some workers.
        replaced: whether those that die are.
    """

    room: int = 2
    late: Sequence[tuple[int, int]] = ()
    kills: Collection[int] = ()
    innocent: bool = False
    deadly: Collection[int] = ()
    paces: Sequence[int] = (1,)
    bad: dict[int, Exception] = field(default_factory=dict)
    report: dict[int, dict[str, Any]] = field(default_factory=dict)
    replaced: bool = True
    elsewhere: bool = False
    expected: int = 0
    tick: int = 0
    closed: int = 0
    most_at_hand: int = 0
    handed: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    _started: int = 0
    _here: dict[int, Fake] = field(default_factory=dict)

    def clock(self) -> float:
        """Seconds: a tick is one."""
        return float(self.tick)

    @property
    def workers(self) -> Collection[int]:
        return set(self._here)

    def staff(self, most: int) -> None:
        room = self.room + sum(more for tick, more in self.late if tick <= self.tick)
        if not self.replaced:
            room -= self._started - len(self._here)
        while len(self._here) < min(room, most):
            self._here[self._started] = Fake(self.paces[self._started % len(self.paces)], since=self.tick)
            self._started += 1

    def hand(self, worker: int, order: Order) -> None:
        if isinstance(order.what, Unit):
            self.handed.append((worker, order.what.items))
        if (fake := self._here.get(worker)) is not None:
            if not fake.queue:
                fake.since = self.tick
            fake.queue.append(order)
            self.most_at_hand = max(self.most_at_hand, sum(isinstance(o.what, Unit) for o in fake.queue))

    def wait(self, seconds: float) -> list[Event]:
        self.tick += 1
        if self.tick > 20_000:
            raise AssertionError("it never ends")
        events: list[Event] = []
        if self.tick in self.kills and self._here:
            busiest = max(self._here, key=lambda number: (len(self._here[number].queue), number))
            del self._here[busiest]
            events.append(Died(busiest, "signal 9", not self.innocent))
        for number, fake in list(self._here.items()):
            if fake.queue and self.tick - fake.since >= fake.takes:
                events.append(self._step(number, fake))
        return events

    def _step(self, number: int, fake: Fake) -> Event:
        order = fake.queue.popleft()
        fake.since = self.tick
        if isinstance(order.what, Task):
            fake.task = order.what
            return Answered(number, Answer(order.serial, self._opened(number)))
        if set(order.what.items) & set(self.deadly):
            del self._here[number]
            return Died(number, "signal 9")
        assert fake.task is not None
        return Answered(number, Answer(order.serial, done(fake.task, order.what)))

    def _opened(self, number: int) -> Report | Failed:
        if number in self.bad:
            return failed(self.bad[number])
        same = {"versions": versions(), "models": {}, "device": "cpu", "sees": True, "facts": {}, "where": f"w{number}"}
        return Report(**{**same, **self.report.get(number, {})})

    def close(self) -> None:
        self.closed += 1
        self._here.clear()


def done(task: Task, unit: Unit[Any]) -> Outcome | Failed:
    """What a worker does, without one."""
    try:
        maker = task.work.open(None, "cpu", None)  # type: ignore[arg-type]  # it needs no images
        made = [maker.rows(maker.make(maker.load(batch))) for batch in task.work.batches(unit.items)]
    except AugforgeError as error:
        return failed(error, unit.number)
    rows = [row for each in made for row in each.rows]
    part = task.target.write(rows).name if rows else ""
    refused = Refused({key: why for each in made for key, why in each.refused.dropped.items()})
    return Outcome(unit.number, part, task.work.count(unit.items), refused)
