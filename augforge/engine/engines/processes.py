"""Workers that are processes of this machine: new interpreters that stay for the whole run.

They are not forks: a fork of a process with threads may stand still for ever. They end when the one that started them
does, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import ClassVar

from augforge.data.bundle import Bundle
from augforge.data.parts import Parts
from augforge.engine.engines.crew import Answered, Died, Event
from augforge.engine.engines.driver import Driver
from augforge.engine.engines.orders import Order
from augforge.engine.work import Engine, Item, Place, Refused, Work

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SECONDS = 5.0
"""How long a process has to end by itself."""


class Processes(Engine):
    """Does the work in several processes; with CUDA each has a GPU, in turn, where there are several."""

    name: ClassVar[str] = "processes"

    def __init__(self, workers: int = 0) -> None:
        """`workers`: how many processes; 0 is one for each core that this process may use."""
        self.workers = workers or len(os.sched_getaffinity(0))
        self._driver = Driver(ProcessCrew(self.workers))

    def run(self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place) -> Refused:
        """As `Engine.run`."""
        return self._driver.run(work, items, total, parts, place, max(1, min(self.workers, total)))

    def close(self) -> None:
        """As `Engine.close`."""
        self._driver.close()


class ProcessCrew:
    """A `Crew` of processes, each at the other end of a pipe."""

    elsewhere = False
    expected = 0

    def __init__(self, share: int) -> None:
        self._share, self._numbers = share, count()
        self._processes: dict[int, _Process] = {}

    @property
    def workers(self) -> Collection[int]:
        """As `Crew.workers`."""
        return self._processes.keys()

    def staff(self, most: int) -> None:
        """As `Crew.staff`; a process takes the place, and so the GPU, of one that died."""
        taken = {process.rank for process in self._processes.values()}
        for rank in sorted(set(range(most)) - taken)[: max(0, most - len(taken))]:
            self._processes[next(self._numbers)] = _Process.start(rank, self._share)

    def hand(self, worker: int, order: Order) -> None:
        """As `Crew.hand`."""
        with suppress(OSError):  # it is dead, and `wait` says so
            self._processes[worker].connection.send(order)

    def wait(self, seconds: float) -> list[Event]:
        """As `Crew.wait`."""
        by_connection = {process.connection: worker for worker, process in self._processes.items()}
        ready = wait(list(by_connection), seconds)
        return [self._event(by_connection[connection]) for connection in ready]  # type: ignore[index]

    def _event(self, worker: int) -> Event:
        try:
            return Answered(worker, self._processes[worker].connection.recv())
        except (EOFError, OSError):
            return Died(worker, self._processes.pop(worker).why())

    def close(self) -> None:
        """As `Crew.close`."""
        processes = list(self._processes.values())
        self._processes.clear()
        for process in processes:
            process.connection.close()  # it ends as soon as it sees that
            process.running.terminate()
        for process in processes:
            process.end()


def environment() -> dict[str, str]:
    """The environment of a process: it imports what this process can, and nothing else (so no present folder, `-P`)."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": path}


@dataclass(frozen=True, slots=True)
class _Process:
    rank: int
    running: subprocess.Popen[bytes]
    connection: Connection

    @staticmethod
    def start(rank: int, share: int) -> _Process:
        here, there = Pipe()
        module = "augforge.engine.engines.process"
        command = [sys.executable, "-P", "-m", module, str(there.fileno()), str(rank), str(share)]
        running = subprocess.Popen(command, env=environment(), pass_fds=[there.fileno()])
        there.close()
        return _Process(rank, running, here)

    def why(self) -> str:
        """How it ended."""
        self.connection.close()
        code = self.end()
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def end(self) -> int:
        """Wait until it has ended; it is killed if it takes its time."""
        try:
            return self.running.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            return self.running.wait()
