"""Who holds a run folder: told by what the holder wrote into its `.lock`, without touching the lock itself."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a run folder, or held it last.

    `alive` is whether it holds it now; None where that cannot be told from here: it ran on another machine.
    """

    process: int
    machine: str
    alive: bool | None


def sign(handle: int) -> None:
    """Write into the open and locked file who holds it. It is only told to others: nothing depends on it."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)


def holder_of(folder: Path) -> Holder | None:
    """Who holds a run folder, or held it last; None if nobody has signed."""
    try:
        process, machine = (folder / LOCK).read_text(encoding="utf-8").split()
        number = int(process)
    except (OSError, ValueError):
        return None
    return Holder(number, machine, _holds(number, folder / LOCK) if machine == socket.gethostname() else None)


def _holds(process: int, lock: Path) -> bool:
    """Whether a process of this machine has the file open; where that cannot be seen, whether there is such a process.

    Processes have it open for as long as they hold it, and for the instant in which they are refused.
    """
    if Path("/proc/self/fd").is_dir():
        try:
            return any(_same(opened, lock) for opened in Path(f"/proc/{process}/fd").iterdir())
        except FileNotFoundError:
            return False
        except PermissionError:
            pass  # it is somebody else's
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _same(opened: Path, lock: Path) -> bool:
    try:
        return opened.samefile(lock)
    except OSError:
        return False
