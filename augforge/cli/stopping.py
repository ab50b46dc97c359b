"""What Ctrl-C does to a run: it is answered at once, and the run ends as soon as what is made is stored."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = "stopping: what is made is being stored; Ctrl-C again ends it at once, and loses only what is not stored yet"
SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def told_at_once() -> Iterator[None]:
    """In the block, answer the first Ctrl-C before anything is tidied up, and let the second one end the process.

    A run that is killed at any instant goes on with what it had, so nothing is lost but time.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # it is not for us: another thread, or a caller who wants something else
        return
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop(number: int, frame: Any) -> None:
    signal.signal(signal.SIGINT, _end)
    _say(f"\n{STOPPING}\n")
    raise KeyboardInterrupt


def _end(number: int, frame: Any) -> None:
    if sys.stderr.isatty():
        _say(f"{SHOW_CURSOR}\n")  # a bar has hidden it
    os._exit(130)


def _say(text: str) -> None:
    """Write past the buffers, which whoever was interrupted may hold."""
    os.write(2, text.encode())
