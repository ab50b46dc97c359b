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
    """In the block, answer the first Ctrl-C before anything is tidied up; the second one ends the process, at any time.

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
        if signal.getsignal(signal.SIGINT) is _stop:  # else the second one is still to end what is left to do
            signal.signal(signal.SIGINT, before)


def _stop(number: int, frame: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the system's own: even where no more Python runs
    cursor = SHOW_CURSOR if sys.stderr.isatty() else ""  # a bar has hidden it
    os.write(2, f"{cursor}\n{STOPPING}\n".encode())  # past the buffers, which whoever was interrupted may hold
    raise KeyboardInterrupt
