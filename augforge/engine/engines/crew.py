"""The workers of an engine, as the driver sees them: it hands orders to them by number, and waits for what happens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from augforge.engine.engines.orders import Answer, Order


@dataclass(frozen=True, slots=True)
class Answered:
    """A worker has answered an order."""

    worker: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is no more, with all that it was handed. `why` says how it ended, such as "signal 9".

    `blames` says that what it was doing may be the reason; a machine that is switched off is not.
    """

    worker: int
    why: str
    blames: bool = True


Event = Answered | Died


class Crew(Protocol):
    """Workers that stay from work to work. Numbers of workers are not used again."""

    elsewhere: bool
    """Whether they may be on other machines, with other versions and other files."""

    @property
    def workers(self) -> Collection[int]:
        """Those that can be handed orders."""

    @property
    def expected(self) -> int:
        """How many are still to come that were asked for."""

    def staff(self, most: int) -> None:
        """Ask for as many workers as there is room for, `most` at most: also in place of those that died."""

    def hand(self, worker: int, order: Order) -> None:
        """Give a worker an order, which it follows after those before; one that has died is told by `wait`."""

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since the last time; waits so long for it, if nothing has."""

    def close(self) -> None:
        """End all workers, whatever they do; when this returns, none is left."""
