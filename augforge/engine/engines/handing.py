"""Which unit is handed out next: in the order of the plan, at most two to a worker, and again what a death undid.

A unit that was with a worker that died is suspect. A suspect has a worker to itself, so that the next death is surely
its own; after three it is halved, until the guilty item is alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from augforge.engine.work import Unit, Work

AT_HAND = 2
"""Units that a worker has: the one that it works on, and the next."""
TRIES = 3
"""Workers that a unit may end before it is halved, or given up."""
SLOW = 3.0
"""A unit that runs so many times longer than usual is handed out again."""
AT_LEAST = 1.0
"""Seconds before which no unit is slow."""


@dataclass(slots=True)
class Running:
    """A unit, who has it since when, and how many workers it may have ended."""

    unit: Unit[Any]
    deaths: int = 0
    tries: int = TRIES
    since: float = 0.0
    workers: set[int] = field(default_factory=set)

    @property
    def suspect(self) -> bool:
        """Whether it may end the worker that does it."""
        return self.deaths > 0 or self.tries < TRIES


class Handing:
    """The units of one work: those to come, those under way, and those to be done again."""

    def __init__(self, work: Work[Any], units: Iterator[Unit[Any]], clock: Callable[[], float]) -> None:
        self._work, self._units, self._clock = work, units, clock
        self._again: deque[Running] = deque()
        self._running: dict[int, Running] = {}
        self._has: dict[int, set[int]] = {}
        self._pieces = -1
        self._seconds: deque[float] = deque(maxlen=64)
        self._ended = False
        self._lost: list[tuple[Any, ...]] = []

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._ended and not self._again and not self._running

    def next_for(self, worker: int) -> Unit[Any] | None:
        """What `worker` is to do beside what it has; None if nothing for now."""
        has = self._has.setdefault(worker, set())
        if len(has) >= AT_HAND or any(self._is_suspect(number) for number in has):
            return None
        if self._again:
            running = self._again.popleft() if not has else None  # else it is soon without work, and then its turn
        else:
            running = self._fresh() or (None if has else self._slow(worker))
        if running is None:
            return None
        if not running.workers:
            running.since = self._clock()
        running.workers.add(worker)
        self._running[running.unit.number] = running
        has.add(running.unit.number)
        return running.unit

    def _is_suspect(self, number: int) -> bool:
        return number in self._running and self._running[number].suspect

    def _fresh(self) -> Running | None:
        unit = None if self._ended else next(self._units, None)
        if unit is None:
            self._ended = True
            return None
        return Running(unit)

    def _slow(self, worker: int) -> Running | None:
        """The oldest unit that another worker alone has for unusually long; nothing new is left by then."""
        if not self._seconds:
            return None
        limit = self._clock() - max(AT_LEAST, SLOW * median(self._seconds))
        late = [r for r in self._running.values() if len(r.workers) == 1 and worker not in r.workers and not r.suspect]
        oldest = min(late, key=lambda running: running.since, default=None)
        return oldest if oldest is not None and oldest.since <= limit else None

    def answered(self, worker: int, number: int) -> bool:
        """A unit was done by `worker`; False if it was done before, by another."""
        self._has.get(worker, set()).discard(number)
        running = self._running.pop(number, None)
        if running is None:
            return False
        self._seconds.append(self._clock() - running.since)
        return True

    def died(self, worker: int, blames: bool) -> None:
        """A worker died: what it alone had is to be done again; with `blames` that counts against it."""
        for number in sorted(self._has.pop(worker, set()) & self._running.keys()):
            running = self._running[number]
            running.workers.discard(worker)
            running.deaths += blames
            if not running.workers:
                del self._running[number]
                self._put_back(running)

    def given_up(self) -> list[tuple[Any, ...]]:
        """The items of which each ended every worker that tried; each told once."""
        lost, self._lost = self._lost, []
        return lost

    def _put_back(self, running: Running) -> None:
        if running.deaths < running.tries:
            self._again.append(running)
            return
        parts = self._work.divided(running.unit.items)
        if len(parts) > 1:
            self._again.extend(self._piece(items) for items in parts)
        elif running.deaths < TRIES:
            self._again.append(Running(running.unit, running.deaths))
        else:
            self._lost.append(running.unit.items)

    def _piece(self, items: tuple[Any, ...]) -> Running:
        """A part of a guilty unit: it is divided further at once if it is guilty, too, but given up late as others."""
        unit = Unit(self._pieces, items)
        self._pieces -= 1
        return Running(unit, tries=1)
