"""Spread work over processes of this machine: each is handed a little at a time, and answers item by item.

The processes are new interpreters, not forks: a fork of a process with threads may stand still for ever. They end when
the one that started them does, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any

from augforge.errors import AugforgeError

AHEAD = 2
"""Units that a process has at hand: the one that it works on, and the next."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ON = "what was committed is kept: run the same command to go on"


def spread(module: str, work: Any, processes: int, units: Iterator[Sequence[Any]], save: Callable[[Any], None]) -> None:
    """Hand `units` out to processes that run `python -m module` (see `serve`), and `save` each answer as it comes.

    At most `AHEAD` units of each process are under way, whatever their number. Answers come in any order.

    Raises:
        AugforgeError: what was raised in a process, or that one was killed.
        RuntimeError: a process failed otherwise, with its traceback.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(module, work)) for _ in range(processes)]
        for worker in workers * AHEAD:
            worker.hand(units)
        while busy := {worker.connection: worker for worker in workers if worker.left}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]  # `wait` gives what it was given
                save(worker.answer())
                worker.top_up(units)


class _Worker:
    """One process, and how many items of each unit that it has it still has to answer."""

    def __init__(self, module: str, work: Any) -> None:
        self.connection, there = Pipe()
        command = [sys.executable, "-m", module, str(there.fileno())]
        self._process = subprocess.Popen(command, env={**os.environ, **ONE_THREAD}, pass_fds=[there.fileno()])
        there.close()
        self.left: deque[int] = deque()
        self._send(work)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()  # it ends as soon as it sees that
        if error[0] is not None:
            self._process.terminate()
        self._process.wait()

    def hand(self, units: Iterator[Sequence[Any]]) -> None:
        """Give it the next unit, if there is one."""
        if unit := next(units, None):
            self._send(unit)
            self.left.append(len(unit))

    def answer(self) -> Any:
        """The next answer, which is there."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            raise self._dead() from None
        if kind == "error":
            raise value
        self.left[0] -= 1
        return value

    def top_up(self, units: Iterator[Sequence[Any]]) -> None:
        """Give it a unit for one that it has done."""
        if self.left[0] == 0:
            self.left.popleft()
            self.hand(units)

    def _send(self, what: Any) -> None:
        try:
            self.connection.send(what)
        except OSError:
            raise self._dead() from None

    def _dead(self) -> AugforgeError:
        return AugforgeError(f"a process that made images ended (exit {self._process.wait()})", ON)


def serve(start: Callable[[Any], Callable[[Any], Any]]) -> None:
    """Be one of the processes: `start` is given the work, and makes what answers each item."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one sees it, and closes the connection
    connection = Connection(int(sys.argv[1]))
    try:
        answer = start(connection.recv())
        for unit in _incoming(connection):
            for item in unit:
                connection.send(("answer", answer(item)))
    except (EOFError, OSError):
        return
    except AugforgeError as error:
        connection.send(("error", _portable(error)))
    except Exception:
        connection.send(("error", RuntimeError(f"in a process that made images:\n{traceback.format_exc()}")))


def _incoming(connection: Connection) -> Iterable[Sequence[Any]]:
    """The units that are handed to this process; read in a thread, so that who hands them never waits."""
    queue: SimpleQueue[Sequence[Any] | None] = SimpleQueue()

    def read() -> None:
        try:
            while True:
                queue.put(connection.recv())
        except (EOFError, OSError):
            queue.put(None)

    Thread(target=read, daemon=True).start()
    return iter(queue.get, None)


def _portable(error: AugforgeError) -> AugforgeError:
    """The error, as what can be pickled: its class, message and hint."""
    return AugforgeError(error.message, error.hint)
