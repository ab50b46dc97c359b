"""The model that embeds what is searched for, in a process of its own: the server stays small, and outlives it."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.ids import key
from augforge.errors import ModelError

PROCESS = "augforge.view.tower_process"
SECONDS = 180.0
"""How long an answer is waited for; a model is loaded first."""
KEPT = 256
"""Vectors of texts and pictures that are remembered."""

Vector = NDArray[np.float32]


def command(handle: int, name: str, task: str, device: str) -> list[str]:
    """What begins the process at the other end of `handle`; no module is looked for in the present folder (`-P`)."""
    return [sys.executable, "-P", "-m", PROCESS, str(handle), name, task, device]


class Tower:
    """An embedding model, loaded when it is first asked. `task` is what it is loaded for, as in the recipe."""

    def __init__(self, name: str, task: str, device: str = "cpu") -> None:
        self._given = (name, task, device)
        self._known: dict[str, Vector] = {}
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def text(self, text: str) -> Vector:
        """(d,) the embedding of a text, of unit length. ModelError if the model cannot be had, or embeds no texts."""
        return self._remembered(key("text", text), "text", text)

    def picture(self, data: bytes) -> Vector:
        """(d,) the embedding of a picture, of unit length. ModelError if the model cannot be had, or it is none."""
        return self._remembered(key("picture", images.digest(data)), "picture", data)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _remembered(self, name: str, what: str, given: str | bytes) -> Vector:
        with self._lock:
            if name not in self._known:
                while len(self._known) >= KEPT:
                    self._known.pop(next(iter(self._known)))
                self._known[name] = self._asked(what, given)
            return self._known[name]

    def _asked(self, what: str, given: str | bytes) -> Vector:
        """What the process answers; it is begun if there is none."""
        line = self._line or self._begun()
        try:
            line.send((what, given))
            answer: Any = line.recv() if line.poll(SECONDS) else None
        except (EOFError, OSError):
            answer = None
        if answer is None:
            self._end()
            raise ModelError(f"the process with {self._given[0]!r} ended, or did not answer in time", "search again")
        if isinstance(answer, tuple):
            raise ModelError(*answer)
        return np.asarray(answer, dtype=np.float32)

    def _begun(self) -> Connection:
        mine, theirs = Pipe()
        self._process = subprocess.Popen(
            command(theirs.fileno(), *self._given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._line = mine
        return mine

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()  # it may be in the middle of a model
            self._process.wait()
        self._line = self._process = None
